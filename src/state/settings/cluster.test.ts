import { describe, expect, test } from 'vitest'
import { type ClusterSettings, STANDALONE } from '../../domain/cluster-settings.ts'
import { HubError } from '../../domain/errors.ts'
import { type ClusterFlags, type ClusterReading, readClusterSettings } from './cluster.ts'
import { CLUSTER_PLACES, type ClusterKey, documentPaths } from './cluster-places.ts'
import { parseDocument } from './document.ts'

type Environment = Record<string, string | undefined>

/** What the first document says of a coordinator, comments and all. */
const COORDINATOR_FILE = `{
  "mcpServers": {
    // 可选：协调器也可以运行 MCP 服务器
    "example": {
      "command": "npx",
      "args": ["-y", "example-mcp-server"]
    }
  },
  "systemConfig": {
    "cluster": {
      "enabled": true,
      "mode": "coordinator",
      "coordinator": {
        "nodeTimeout": 15000,
        "cleanupInterval": 30000,
        "stickySessionTimeout": 3600000
      },
      "stickySession": {
        "enabled": true,
        "strategy": "consistent-hash",
        "cookieName": "MCPHUB_NODE",
        "headerName": "X-MCPHub-Node"
      }
    }
  }
}`

const NODE_FILE = `{
  "mcpServers": { "amap": { "command": "npx", "args": ["-y", "@amap/amap-maps-mcp-server"] } },
  "systemConfig": {
    "cluster": {
      "enabled": true,
      "mode": "node",
      "node": {
        "id": "node-1",
        "name": "工作节点 1",
        "coordinatorUrl": "http://coordinator:3000",
        "heartbeatInterval": 5000,
        "registerOnStartup": true
      }
    }
  }
}`

const MASTER = {
  cluster: {
    enabled: true,
    role: 'master',
    nodeId: 'master-001',
    master: {
      host: '0.0.0.0',
      port: 3000,
      heartbeatInterval: 5000,
      heartbeatTimeout: 15000,
      loadBalanceStrategy: 'least-connections',
    },
    security: { token: 'your-cluster-secret-token', tlsEnabled: false },
  },
}

const WORKER = {
  cluster: {
    enabled: true,
    role: 'worker',
    nodeId: 'worker-001',
    worker: {
      masterUrl: 'http://master-host:3000',
      advertiseHost: 'worker-001.internal',
      advertisePort: 3001,
      maxServers: 20,
    },
    security: { token: 'your-cluster-secret-token' },
  },
}

const TOKEN = 'wq7Yb2Lr9ZkQ4mXc'

function read(document: unknown, environment: Environment = {}, flags: ClusterFlags = {}): ClusterReading {
  return readClusterSettings({ document, environment, flags })
}

/** As it is read from a file, so that errors name line and column. */
function readText(text: string, environment: Environment = {}): ClusterReading {
  const { value, locate } = parseDocument(text, 'f.json')
  return readClusterSettings({ document: value, source: 'f.json', locate, environment })
}

function refusal(work: () => unknown): HubError {
  try {
    work()
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('It was not refused.')
}

function coordinator(cluster: object): object {
  return { systemConfig: { cluster: { enabled: true, mode: 'coordinator', ...cluster } } }
}

function worker(cluster: object): object {
  return { cluster: { enabled: true, role: 'worker', coordinatorUrl: 'http://c:3000', ...cluster } }
}

describe('without settings of a cluster', () => {
  test.each([undefined, {}, { systemConfig: {} }, { cluster: {} }, { systemConfig: { cluster: null } }])(
    '[R2] [R155] (%j) a node is alone',
    (document) => {
      const { settings, warnings, origins } = read(document)
      expect(settings).toEqual(STANDALONE)
      expect(warnings).toEqual([])
      expect(new Set([...origins.values()].map(({ origin }) => origin))).toEqual(new Set(['default']))
    },
  )

  test('[R137] CLUSTER_ENABLED is false by default; a role without it is said to be none', () => {
    const { settings, warnings } = read(undefined, { CLUSTER_ROLE: 'worker' })
    expect(settings.role).toBe('standalone')
    expect(warnings).toEqual([expect.stringContaining('CLUSTER_ROLE gives this node a role, but')])
    expect(read({ cluster: { enabled: false, role: 'worker' } })).toMatchObject({
      settings: { role: 'standalone' },
      warnings: [],
    })
  })

  test('mistakes in what is switched off are said, and keep nothing from running', () => {
    const { settings, warnings } = read({ cluster: { enabled: false, nodeId: 'not an id', master: 7 } })
    expect(settings.nodeId).toBeUndefined()
    expect(warnings).toEqual([
      expect.stringContaining('cluster.master: this must be an object'),
      expect.stringContaining('cluster.nodeId: "not an id" is no id of a node'),
    ])
  })
})

describe('the documents that the format comes from', () => {
  test('[R7] [R8] [R10] [R11] a coordinator, with comments in its file', () => {
    const { settings, warnings, origins } = readText(COORDINATOR_FILE)
    expect(settings).toEqual({ ...STANDALONE, role: 'coordinator', runsServers: 'auto' })
    expect(warnings).toEqual([])
    expect(origins.get('role')).toEqual({ origin: 'file', name: 'systemConfig.cluster.mode' })
    expect(origins.get('heartbeatTimeoutMs')?.name).toBe('systemConfig.cluster.coordinator.nodeTimeout')
  })

  test('[R22] [R23] [R24] [R25] [R26] a node', () => {
    const { settings, warnings } = readText(NODE_FILE)
    expect(settings).toMatchObject({
      role: 'worker',
      nodeId: 'node-1',
      nodeName: '工作节点 1',
      coordinators: ['http://coordinator:3000'],
      heartbeatIntervalMs: 5_000,
      registerOnStartup: true,
    })
    expect(warnings).toEqual([])
  })

  test('[R40] the smallest coordinator', () => {
    expect(read({ systemConfig: { cluster: { enabled: true, mode: 'coordinator' } } }).settings.role).toBe(
      'coordinator',
    )
  })

  test('[R41] the smallest node', () => {
    const node = { coordinatorUrl: 'http://192.168.1.100:3000' }
    const { settings } = read({ systemConfig: { cluster: { enabled: true, mode: 'node', node } } })
    expect(settings).toEqual({
      ...STANDALONE,
      role: 'worker',
      coordinators: ['http://192.168.1.100:3000'],
    })
  })

  test('[R83] [R89] [R90] [R92] [R135] a master, whose sample token is warned of', () => {
    const { settings, warnings } = read(MASTER)
    expect(settings).toEqual({
      ...STANDALONE,
      role: 'coordinator',
      calledMaster: true,
      nodeId: 'master-001',
      runsServers: 'auto',
      listen: { host: '0.0.0.0', port: 3_000 },
      token: 'your-cluster-secret-token',
    })
    expect(warnings).toEqual([expect.stringContaining('cluster.security.token is a sample value')])
  })

  test('[R91] [R136] a worker', () => {
    expect(read(WORKER).settings).toEqual({
      ...STANDALONE,
      role: 'worker',
      nodeId: 'worker-001',
      advertise: { host: 'worker-001.internal', port: 3_001 },
      maxServers: 20,
      coordinators: ['http://master-host:3000'],
      token: 'your-cluster-secret-token',
    })
  })

  test('[R158] [R161] a master and a worker that live on variables alone', () => {
    const master = {
      CLUSTER_ENABLED: 'true',
      CLUSTER_ROLE: 'master',
      CLUSTER_NODE_ID: 'master-001',
      CLUSTER_MASTER_HOST: '0.0.0.0',
      CLUSTER_MASTER_PORT: '3000',
      CLUSTER_TOKEN: 'your-secure-cluster-token',
      CLUSTER_HEARTBEAT_INTERVAL: '5000',
      CLUSTER_HEARTBEAT_TIMEOUT: '15000',
    }
    const worker = {
      CLUSTER_ENABLED: 'true',
      CLUSTER_ROLE: 'worker',
      CLUSTER_NODE_ID: 'worker-001',
      CLUSTER_MASTER_URL: 'http://mcphub-master:3000',
      CLUSTER_TOKEN: 'your-secure-cluster-token',
      CLUSTER_ADVERTISE_HOST: 'mcphub-worker-1',
      CLUSTER_ADVERTISE_PORT: '3000',
    }
    expect(read(undefined, master).settings).toMatchObject({
      role: 'coordinator',
      listen: { host: '0.0.0.0', port: 3_000 },
    })
    expect(read(undefined, worker).settings).toMatchObject({
      role: 'worker',
      coordinators: ['http://mcphub-master:3000'],
      advertise: { host: 'mcphub-worker-1', port: 3_000 },
    })
  })

  test('[R163] [R164] a worker in Kubernetes, without id and address', () => {
    const { settings } = read(undefined, {
      CLUSTER_ENABLED: 'true',
      CLUSTER_ROLE: 'worker',
      CLUSTER_MASTER_URL: 'http://mcphub-master:3000',
      CLUSTER_TOKEN: TOKEN,
    })
    expect([settings.nodeId, settings.advertise.host]).toEqual([undefined, undefined])
  })
})

describe('the defaults are', () => {
  test.each([
    ['[R12] nodeTimeout: 15000 ms', STANDALONE.heartbeatTimeoutMs, 15_000],
    ['[R13] cleanupInterval: 30000 ms', STANDALONE.cleanupIntervalMs, 30_000],
    ['[R14] stickySessionTimeout: 3600000 ms', STANDALONE.sticky.timeoutMs, 3_600_000],
    ['[R15] stickySession.enabled: true', STANDALONE.sticky.enabled, true],
    ['[R16] stickySession.strategy: consistent-hash', STANDALONE.sticky.strategy, 'consistent-hash'],
    ['[R17] stickySession.cookieName: MCPHUB_NODE', STANDALONE.sticky.cookieName, 'MCPHUB_NODE'],
    ['[R18] stickySession.headerName: X-MCPHub-Node', STANDALONE.sticky.headerName, 'X-MCPHub-Node'],
    ['[R25] [R144] heartbeatInterval: 5000 ms', STANDALONE.heartbeatIntervalMs, 5_000],
    ['[R145] heartbeatTimeout: 15000 ms', STANDALONE.heartbeatTimeoutMs, 15_000],
    ['[R26] registerOnStartup: true', STANDALONE.registerOnStartup, true],
  ])('%s', (_, value, expected) => {
    expect(value).toBe(expected)
    // A reading without settings has the very values that are looked at here.
    expect(read(coordinator({})).settings.sticky).toEqual(STANDALONE.sticky)
  })
})

/** Of each setting a value as a variable has it, and what becomes of it. */
const SAMPLES: Partial<
  Record<ClusterKey, readonly [string, (settings: ClusterSettings) => unknown, unknown]>
> = {
  nodeId: ['n-1', (s) => s.nodeId, 'n-1'],
  nodeName: ['工作节点 1', (s) => s.nodeName, '工作节点 1'],
  labels: ['gpu=yes, zone = eu-1', (s) => s.labels, { gpu: 'yes', zone: 'eu-1' }],
  weight: ['2.5', (s) => s.weight, 2.5],
  maxServers: ['20', (s) => s.maxServers, 20],
  runsServers: ['false', (s) => s.runsServers, false],
  'listen.host': ['10.0.0.1', (s) => s.listen.host, '10.0.0.1'],
  'listen.port': ['3100', (s) => s.listen.port, 3_100],
  'advertise.host': ['hub.internal', (s) => s.advertise.host, 'hub.internal'],
  'advertise.port': ['3001', (s) => s.advertise.port, 3_001],
  coordinators: ['http://a:1,https://b/x/', (s) => s.coordinators, ['http://a:1', 'https://b/x']],
  registerOnStartup: ['false', (s) => s.registerOnStartup, false],
  token: [TOKEN, (s) => s.token, TOKEN],
  oldTokens: [`${TOKEN}1, ${TOKEN}2`, (s) => s.oldTokens, [`${TOKEN}1`, `${TOKEN}2`]],
  heartbeatIntervalMs: ['1000', (s) => s.heartbeatIntervalMs, 1_000],
  heartbeatTimeoutMs: ['20000', (s) => s.heartbeatTimeoutMs, 20_000],
  cleanupIntervalMs: ['60000', (s) => s.cleanupIntervalMs, 60_000],
  linkGraceMs: ['0', (s) => s.linkGraceMs, 0],
  balance: ['Round-Robin', (s) => s.balance, 'round-robin'],
  'sticky.enabled': ['off', (s) => s.sticky.enabled, false],
  'sticky.strategy': ['cookie', (s) => s.sticky.strategy, 'cookie'],
  'sticky.cookieName': ['NODE', (s) => s.sticky.cookieName, 'NODE'],
  'sticky.headerName': ['X-Node', (s) => s.sticky.headerName, 'X-Node'],
  'sticky.timeoutMs': ['5000', (s) => s.sticky.timeoutMs, 5_000],
}

const CASES = Object.entries(SAMPLES).flatMap(([name, sample]) => {
  const key = (Object.keys(CLUSTER_PLACES) as ClusterKey[]).find((each) => each === name)
  return key && sample ? [[key, ...sample] as const] : []
})

/** A document with one value in it. */
function nested(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, step) => ({ [step]: inner }), value)
}

describe('each setting', () => {
  const env = { CLUSTER_ENABLED: 'true', CLUSTER_ROLE: 'coordinator' }

  test('has a sample here, but those that need others', () => {
    const untold = Object.keys(CLUSTER_PLACES).filter((key) => !Object.hasOwn(SAMPLES, key))
    expect(untold.sort()).toEqual([
      'enabled',
      'role',
      'tls.caFile',
      'tls.certFile',
      'tls.enabled',
      'tls.keyFile',
      'tls.mutual',
      'tokenFile',
    ])
  })

  test.each(CASES)('[R148] %s comes from the environment', (key, text, of, expected) => {
    for (const variable of CLUSTER_PLACES[key].variables) {
      const { settings, origins } = read(undefined, { ...env, [variable]: text })
      expect(of(settings)).toEqual(expected)
      expect(origins.get(key)).toEqual({ origin: 'environment', name: variable })
    }
  })

  test.each(CASES)('%s comes from every place of the document', (key, text, of, expected) => {
    for (const path of documentPaths(key)) {
      const { settings, origins } = read(nested(path, text), env)
      expect(of(settings)).toEqual(expected)
      expect(origins.get(key)).toEqual({ origin: 'file', name: path.join('.') })
    }
  })

  test.each(CASES)('%s of the environment counts before that of the document', (key, text, of, expected) => {
    const [variable = ''] = CLUSTER_PLACES[key].variables
    for (const path of documentPaths(key)) {
      // What does not count need not even be right.
      const { settings } = read(nested(path, { wrong: true }), { ...env, [variable]: text })
      expect(of(settings)).toEqual(expected)
    }
  })

  test('[R139] of a node id has two variables; an empty one is not set', () => {
    expect(read(undefined, { CLUSTER_NODE_ID: '', NODE_ID: 'b' }).settings.nodeId).toBe('b')
    expect(read(undefined, { CLUSTER_NODE_ID: 'a', NODE_ID: 'b' }).settings.nodeId).toBe('a')
  })
})

describe('flags', () => {
  test('count before the environment, and a role by flag enables the cluster', () => {
    const { settings, origins } = read(
      { cluster: { enabled: false, nodeId: 'file' } },
      { CLUSTER_ROLE: 'master', CLUSTER_NODE_ID: 'environment', CLUSTER_MASTER_URL: 'http://other' },
      {
        role: 'worker',
        coordinator: 'http://a:3000,http://b:3000',
        nodeId: 'flag',
        name: 'A name',
        labels: 'a=b',
        maxServers: '3',
      },
    )
    expect(settings).toMatchObject({
      role: 'worker',
      coordinators: ['http://a:3000', 'http://b:3000'],
      nodeId: 'flag',
      nodeName: 'A name',
      labels: { a: 'b' },
      maxServers: 3,
    })
    expect(origins.get('role')).toEqual({ origin: 'flag', name: '--role' })
    expect(origins.get('coordinators')).toEqual({ origin: 'flag', name: '--coordinator' })
  })

  test('of a node that is to be alone take it out of its cluster', () => {
    expect(read(MASTER, {}, { role: 'standalone' }).settings.role).toBe('standalone')
  })

  test('that are wrong are named', () => {
    expect(refusal(() => read(undefined, {}, { role: 'boss' })).message).toBe('--role: "boss" is no role.')
  })
})

describe('the role', () => {
  test.each([
    ['coordinator', 'coordinator', false],
    ['master', 'coordinator', true],
    ['Master', 'coordinator', true],
    ['worker', 'worker', false],
    ['node', 'worker', false],
    ['standalone', 'standalone', false],
  ])('[R83] %s is %s', (role, expected, calledMaster) => {
    const { settings } = read(undefined, {
      CLUSTER_ENABLED: 'true',
      CLUSTER_ROLE: role,
      CLUSTER_MASTER_URL: 'http://c',
    })
    expect([settings.role, settings.calledMaster]).toEqual([expected, calledMaster])
  })

  test('[R138] has no default: an enabled cluster needs one', () => {
    const error = refusal(() => read(undefined, { CLUSTER_ENABLED: 'true' }))
    expect(error).toMatchObject({ code: 'settings.invalid' })
    expect(error.message).toContain('CLUSTER_ENABLED: the cluster is enabled, but nothing says')
    expect(error.cure).toContain('CLUSTER_ROLE')
    expect(refusal(() => readText('{\n  "cluster": {"enabled": true}\n}')).message).toMatch(
      /^f\.json:2:26: cluster\.enabled: /,
    )
  })
})

describe('a worker', () => {
  test('[R24] needs the URL of its coordinator', () => {
    const error = refusal(() => readText('{"cluster": {"enabled": true,\n "role": "worker"}}'))
    expect(error.message).toBe(
      'f.json:2:10: cluster.role: a worker needs the URL of its coordinator, and there is none.',
    )
    expect(error.cure).toContain('CLUSTER_MASTER_URL')
    expect(error.cure).toContain('coordinatorUrl')
  })

  test('may be told host and port of its master instead, but for an address that only listens', () => {
    const env = { CLUSTER_ENABLED: '1', CLUSTER_ROLE: 'worker', CLUSTER_MASTER_HOST: 'm' }
    const { settings } = read(undefined, env)
    expect([settings.coordinators, settings.listen]).toEqual([['http://m:3000'], STANDALONE.listen])
    expect(read(undefined, { ...env, CLUSTER_MASTER_PORT: '1' }).settings.coordinators).toEqual([
      'http://m:1',
    ])
    expect(refusal(() => read(undefined, { ...env, CLUSTER_MASTER_HOST: '0.0.0.0' })).cure).toContain(
      'CLUSTER_MASTER_URL',
    )
  })

  test('may have several coordinators, as a list too, each once', () => {
    const coordinatorUrls = ['ws://a:1/', 'http://b', 'http://a:1']
    expect(read(worker({ coordinatorUrls })).settings.coordinators).toEqual(['http://a:1', 'http://b'])
  })

  test.each([
    ['coordinator:3000', 'is no URL of a coordinator'],
    ['ftp://c', 'is no URL of a coordinator'],
    ['http://', 'is no URL of a coordinator'],
    ['http://0.0.0.0:3000', 'an address to listen on'],
    [7, 'names no coordinator'],
    [['http://c', 7], '7 is no URL'],
    [[], 'names no coordinator'],
    [Array.from({ length: 17 }, (_, index) => `http://c${index}`), 'there are 17 coordinators'],
  ])('with the coordinator %j is refused', (coordinatorUrl, why) => {
    const error = refusal(() => read(worker({ coordinatorUrl })))
    expect(error.message).toMatch(/^cluster\.coordinatorUrl: /)
    expect(error.message).toContain(why)
  })

  test('with a password in the URL is refused, without the password in the error', () => {
    const error = refusal(() => read(worker({ coordinatorUrl: 'http://me:hunter2@c:3000' })))
    expect(`${error.message}${error.cure}`).not.toContain('hunter2')
    expect(error.cure).toContain('CLUSTER_TOKEN')
  })
})

describe('heartbeats', () => {
  test('that may be missed once at least are taken', () => {
    expect(read(coordinator({ heartbeatInterval: 7_500 })).settings.heartbeatIntervalMs).toBe(7_500)
  })

  test.each([
    [{ heartbeatInterval: 7_501 }, 'systemConfig.cluster.heartbeatInterval'],
    [{ coordinator: { nodeTimeout: 9_999 } }, 'systemConfig.cluster.coordinator.nodeTimeout'],
    [
      { master: { heartbeatInterval: 600, heartbeatTimeout: 1_199 } },
      'systemConfig.cluster.master.heartbeatTimeout',
    ],
  ])('with less than two intervals to the timeout (%j) are refused', (cluster, place) => {
    const error = refusal(() => read(coordinator(cluster)))
    expect(error.message).toContain(`${place}: the heartbeat timeout (`)
    expect(error.message).toContain('must be at least twice the heartbeat interval')
    expect(error.cure).toContain('CLUSTER_HEARTBEAT_TIMEOUT')
  })

  test('are told apart by where each value comes from', () => {
    const { settings } = read(coordinator({ heartbeatInterval: 20_000 }), {
      CLUSTER_HEARTBEAT_TIMEOUT: '60000',
    })
    expect([settings.heartbeatIntervalMs, settings.heartbeatTimeoutMs]).toEqual([20_000, 60_000])
  })
})

describe('values that cannot be', () => {
  test.each([
    [{ enabled: 'perhaps' }, 'enabled: "perhaps" is neither true nor false'],
    [{ mode: 'boss' }, 'mode: "boss" is no role'],
    [{ mode: 7 }, 'mode: 7 is no role'],
    [{ nodeId: 'a b' }, 'nodeId: "a b" is no id of a node'],
    [{ nodeId: 'x'.repeat(129) }, 'is no id of a node'],
    [{ nodeId: '..' }, 'nodeId: ".." is no id'],
    [{ name: 'a\nb' }, 'name: "a\\nb" is no name'],
    [{ labels: 'a' }, 'labels: the label "a" has no value'],
    [{ labels: 7 }, 'labels: 7 holds no labels'],
    [{ labels: { 'a b': 'c' } }, 'labels: "a b" with "c" is no label'],
    [{ labels: { a: { b: 1 } } }, 'labels: the label "a" has no value'],
    [
      { labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`l${n}`, 'x'])) },
      'there are 65 labels',
    ],
    [{ weight: 0 }, 'weight: 0 is no weight'],
    [{ weight: -1 }, 'weight: -1 is no weight'],
    [{ weight: 1_001 }, 'weight: 1001 is no weight'],
    [{ maxServers: 1.5 }, 'maxServers: 1.5 is no whole number from 0 to 10000'],
    [{ maxServers: 'many' }, 'maxServers: "many" is no whole number'],
    [{ runServers: 'sometimes' }, 'runServers: "sometimes" is neither true nor false'],
    [{ master: { port: 65_536 } }, 'master.port: 65536 is no whole number from 0 to 65535'],
    [{ master: { host: 'http://c' } }, 'master.host: "http://c" is no host name or address'],
    [{ worker: { advertiseHost: '0.0.0.0' } }, 'advertiseHost: "0.0.0.0" is an address to listen on'],
    [{ worker: { advertiseHost: '::' } }, 'advertiseHost: "::" is an address to listen on'],
    [{ worker: { advertisePort: 0 } }, 'advertisePort: 0 is no whole number from 1'],
    [{ heartbeatInterval: '5s' }, 'heartbeatInterval: "5s" is no whole number'],
    [{ heartbeatInterval: 9 }, 'heartbeatInterval: 9 is no whole number from 10'],
    [{ linkGrace: -1 }, 'linkGrace: -1 is no whole number from 0'],
    [{ loadBalanceStrategy: 'best' }, 'loadBalanceStrategy: "best" is none of the choices'],
    [{ stickySession: { strategy: 'glue' } }, 'stickySession.strategy: "glue" is none of the choices'],
    [{ stickySession: { cookieName: 'a=b' } }, 'cookieName: "a=b" cannot be the name'],
    [{ stickySession: { headerName: 'X Node' } }, 'headerName: "X Node" cannot be the name'],
    [{ coordinator: { stickySessionTimeout: 0 } }, 'stickySessionTimeout: 0 is no whole number from 1'],
    [{ coordinator: 7 }, 'coordinator: this must be an object'],
    [{ security: { token: 'short' } }, 'security.token: a token needs 8 to 4096'],
    [{ security: { token: ['a'] } }, 'security.token: a token needs'],
  ])('%j: %s', (cluster, why) => {
    const error = refusal(() => read(coordinator(cluster)))
    expect(error.code).toBe('settings.invalid')
    expect(error.message).toContain('systemConfig.cluster.')
    expect(error.message).toContain(why)
    expect(error.cure).toMatch(/^[A-Z].*\.$/)
  })

  test('[R8] are named with line and column', () => {
    const error = refusal(() => readText(COORDINATOR_FILE.replace('15000', '"soon"')))
    expect(error.message).toMatch(
      /^f\.json:14:24: systemConfig\.cluster\.coordinator\.nodeTimeout: "soon" is no whole number/,
    )
    expect(error.data).toMatchObject({ source: 'f.json', line: 14, column: 24 })
  })

  test('of variables are named', () => {
    const error = refusal(() => read(MASTER, { CLUSTER_MASTER_PORT: 'http' }))
    expect(error.message).toBe('CLUSTER_MASTER_PORT: "http" is no whole number from 0 to 65535.')
  })

  test('are cut short in errors', () => {
    expect(refusal(() => read(coordinator({ mode: 'x'.repeat(10_000) }))).message.length).toBeLessThan(250)
  })
})

describe('two blocks that say different things', () => {
  test('systemConfig.cluster counts, value by value, and that is said', () => {
    const { settings, warnings } = read({
      systemConfig: { cluster: { enabled: true, mode: 'coordinator', name: 'one' } },
      cluster: { role: 'worker', weight: 3, name: 'one' },
    })
    expect(settings).toMatchObject({ role: 'coordinator', weight: 3, nodeName: 'one' })
    expect(warnings).toEqual([
      'cluster.role: systemConfig.cluster.mode says something else, and that is what counts.',
    ])
  })

  test('what stands in other values is expanded too; a variable that is not set is as good as nothing', () => {
    const { settings, warnings } = read(worker({ nodeId: '${MY_POD}', name: '${GONE}' }), { MY_POD: 'pod-7' })
    expect([settings.nodeId, settings.nodeName]).toEqual(['pod-7', undefined])
    expect(warnings).toEqual(['cluster.name: ${GONE} is not set; it is taken as empty.'])
  })
})
