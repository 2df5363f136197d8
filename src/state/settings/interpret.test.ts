import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { DEFAULTS, interpretSettings } from './interpret.ts'

type Variables = Record<string, string | undefined>

function read(document: unknown, variables: Variables = {}) {
  return interpretSettings(JSON.stringify(document, undefined, 2), 'f.json', variables)
}

function server(input: Record<string, unknown>, variables: Variables = {}): ServerSpec {
  const spec = read({ mcpServers: { s: input } }, variables).settings.servers.get('s')
  if (!spec) throw new Error('The server is not there.')
  return spec
}

function refusal(text: unknown, variables: Variables = {}): HubError {
  const source = typeof text === 'string' ? text : JSON.stringify(text, undefined, 2)
  try {
    interpretSettings(source, 'f.json', variables)
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('The settings were not refused.')
}

describe('settings that say nothing', () => {
  test.each(['', '{}', '{"mcpServers": {}}'])('(%j) are complete: every default is filled in', (text) => {
    expect(interpretSettings(text, 'f.json', {})).toEqual({
      settings: {
        servers: new Map(),
        groups: [],
        keys: [],
        users: [],
        bearerAuth: true,
        bearerHeader: 'Authorization',
        nameSeparator: '-',
        globalEndpoint: true,
        groupsByName: true,
        bodyLimitBytes: 4_194_304,
        sessionTimeoutMs: 3_600_000,
        activity: { storeToolPayload: false, usageDays: 30, accessDays: 30, auditDays: 365 },
      },
      warnings: [],
    })
  })

  test('[R40] of servers and users, but make a coordinator, are complete without a warning', () => {
    const { settings, warnings } = read({ systemConfig: { cluster: { enabled: true, mode: 'coordinator' } } })
    expect(settings.servers.size).toBe(0)
    expect(settings.sessionTimeoutMs).toBe(3_600_000)
    expect(warnings).toEqual([])
  })

  test.each([
    ['[R9] a coordinator', { enabled: true, mode: 'coordinator' }],
    [
      '[R41] a node that names its coordinator',
      { enabled: true, mode: 'node', node: { coordinatorUrl: 'http://c:3000' } },
    ],
    ['[R155] a cluster that is not enabled', { mode: 'node' }],
  ])('of %s run the servers of the file all the same', (_, cluster) => {
    const { settings } = read({
      mcpServers: { a: { command: 'npx', args: ['-y', 'x'] } },
      systemConfig: { cluster },
    })
    expect([...settings.servers.keys()]).toEqual(['a'])
  })

  test('[R2] of a cluster, or switch it off, mean a single node without a warning', () => {
    expect(read({ systemConfig: { cluster: { enabled: false, mode: 'coordinator' } } }).warnings).toEqual([])
  })
})

describe('the life of a session', () => {
  test('[R14] is 3600000 ms after its last request by default', () => {
    expect(DEFAULTS.sessionTimeoutMs).toBe(3_600_000)
    const cluster = { enabled: true, mode: 'coordinator', coordinator: {} }
    expect(read({ systemConfig: { cluster } }).settings.sessionTimeoutMs).toBe(3_600_000)
  })

  test('[R14] is what stickySessionTimeout of the coordinator says', () => {
    const cluster = { coordinator: { stickySessionTimeout: 5_000 } }
    expect(read({ systemConfig: { cluster } }).settings.sessionTimeoutMs).toBe(5_000)
    expect(read({ systemConfig: { cluster, sessionTimeout: 7_000 } }).settings.sessionTimeoutMs).toBe(7_000)
    expect(read({ cluster: { master: { stickySessionTimeout: 9_000 } } }).settings.sessionTimeoutMs).toBe(
      9_000,
    )
  })
})

describe('how a server is reached', () => {
  test('by a command: it is started, and spoken to over its pipes', () => {
    expect(server({ command: 'node' }).transport).toEqual({
      kind: 'stdio',
      command: 'node',
      args: [],
      env: {},
      cwd: undefined,
    })
    expect(server({ type: 'stdio', command: 'node', cwd: '/srv', args: ['a'] }).transport).toMatchObject({
      args: ['a'],
      cwd: '/srv',
    })
  })

  test.each([
    [undefined, 'auto'],
    ['sse', 'sse'],
    ['streamable-http', 'streamable-http'],
    ['streamableHttp', 'streamable-http'],
    ['http', 'streamable-http'],
  ])('by a URL with type %s: as %s', (type, kind) => {
    const { transport } = server({ ...(type ? { type } : {}), url: 'https://h/mcp', headers: { a: 'b' } })
    expect(transport).toEqual({ kind, url: 'https://h/mcp', headers: { a: 'b' } })
  })

  test('by its URL, when it has a command too and no type', () => {
    expect(server({ url: 'http://h/mcp', command: 'node' }).transport.kind).toBe('auto')
    expect(server({ type: 'stdio', url: 'http://h/mcp', command: 'node' }).transport.kind).toBe('stdio')
  })

  test.each([
    [{}, 's: a server needs a "command" (to be started) or a "url" (to be reached)'],
    [{ type: 'stdio' }, 's: a stdio server needs a "command"'],
    [{ type: 'sse', command: 'x' }, 's: a server of this type needs a "url"'],
    [{ type: 'http' }, 's: a server of this type needs a "url"'],
    [{ url: 'localhost:3000' }, 's.url: this is no http or https URL'],
    [{ url: 'file:///etc/passwd' }, 's.url: this is no http or https URL'],
    [{ type: 'sse', url: '/mcp' }, 's.url: this is no http or https URL'],
    [{ type: 'openapi', openapi: {} }, 's.type: servers of type "openapi" are not supported yet'],
  ])('not at all by %j', (input, why) => {
    const error = refusal({ mcpServers: { s: input } })
    expect(error.code).toBe('settings.invalid')
    expect(error.message).toContain(`mcpServers.${why}`)
  })

  test.each([
    ['uvx', { UV_DEFAULT_INDEX: 'https://pypi' }],
    ['/usr/bin/python3', { UV_DEFAULT_INDEX: 'https://pypi' }],
    ['npx', { npm_config_registry: 'https://npm' }],
    ['C:\\tools\\npx.cmd', { npm_config_registry: 'https://npm' }],
    ['docker', {}],
    ['npx-like', {}],
  ])('with %s as its command it is told of the package mirrors: %j', (command, env) => {
    const install = { pythonIndexUrl: 'https://pypi', npmRegistry: 'https://npm' }
    const { settings } = read({ mcpServers: { s: { command } }, systemConfig: { install } })
    expect(settings.servers.get('s')?.transport).toMatchObject({ env })
    const own = { npm_config_registry: 'own', UV_DEFAULT_INDEX: 'own' }
    const again = read({ mcpServers: { s: { command, env: own } }, systemConfig: { install } })
    expect(again.settings.servers.get('s')?.transport).toMatchObject({ env: own })
  })
})

describe('how a server runs', () => {
  test.each(['constructor', 'toString', 'hasOwnProperty', '__proto'])('under the name %s too', (name) => {
    expect([...read({ mcpServers: { [name]: { command: 'x' } } }).settings.servers.keys()]).toEqual([name])
  })

  test('but not under a name that JavaScript takes for something else', () => {
    const error = refusal('{"mcpServers": {"__proto__": {"command": "x"}}}')
    expect(error.message).toMatch(/^f\.json:1:17: nothing may be named "__proto__"/)
  })

  test('by default: always, one for everybody, a minute for each call, progress keeps a call alive', () => {
    expect(server({ command: 'x' })).toMatchObject({
      enabled: true,
      isolation: 'shared',
      startOnDemand: false,
      idleTimeoutMs: 0,
      call: { timeoutMs: 60_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 },
    })
  })

  test.each([
    [{ enabled: false }, false],
    [{ disabled: true }, false],
    [{ disabled: false }, true],
    [{ enabled: true, disabled: true }, true],
  ])('%j: enabled is %s', (input, enabled) => {
    expect(server({ command: 'x', ...input }).enabled).toBe(enabled)
  })

  test.each([
    [{ perSessionClient: true }, 'session'],
    [{ perSessionClient: false }, 'shared'],
    [{ isolation: 'session' }, 'session'],
    [{ isolation: 'user' }, 'user'],
    [{ isolation: 'user', perSessionClient: true }, 'user'],
    [{ isolation: 'shared', perSessionClient: true }, 'shared'],
  ])('%j: isolation is %s', (input, isolation) => {
    expect(server({ command: 'x', ...input }).isolation).toBe(isolation)
  })

  test('on demand it stops after five minutes without a call, or after what it says', () => {
    expect(server({ command: 'x', startOnDemand: true }).idleTimeoutMs).toBe(300_000)
    expect(server({ command: 'x', startOnDemand: true, idleTimeoutMs: 0 }).idleTimeoutMs).toBe(0)
    expect(server({ command: 'x', isolation: 'session', idleTimeoutMs: 7 }).idleTimeoutMs).toBe(7)
  })
})

describe('variables', () => {
  test('are expanded everywhere in a server', () => {
    const spec = server(
      {
        command: '${BIN}/node',
        args: ['--key=$KEY', '${NO:-default}'],
        env: { A: '${KEY}', N: 1 },
        description: 'Key $KEY',
      },
      { BIN: '/opt', KEY: 'k' },
    )
    expect(spec.description).toBe('Key k')
    expect(spec.transport).toMatchObject({
      command: '/opt/node',
      args: ['--key=k', 'default'],
      env: { A: 'k', N: '1' },
    })
  })

  test('that are not set are reported with their place and taken as empty', () => {
    const { settings, warnings } = read({ mcpServers: { s: { command: 'x', env: { TOKEN: '${NOPE}' } } } })
    expect(settings.servers.get('s')?.transport).toMatchObject({ env: { TOKEN: '' } })
    expect(warnings).toEqual([
      'f.json:6:18: mcpServers.s.env.TOKEN: ${NOPE} is not set; it is taken as empty.',
    ])
  })
})

describe('overrides', () => {
  test('say what is shown and how it is described; an empty description is none', () => {
    const { overrides } = server({
      command: 'x',
      tools: { a: { enabled: false }, b: { description: 'B' }, c: { description: '' } },
      resources: { 'file:///a': { enabled: false } },
    })
    expect(overrides.tools).toEqual(
      new Map([
        ['a', { enabled: false, description: undefined }],
        ['b', { enabled: true, description: 'B' }],
        ['c', { enabled: true, description: undefined }],
      ]),
    )
    expect(overrides.prompts).toEqual(new Map())
    expect([...overrides.resources.keys()]).toEqual(['file:///a'])
  })

  test('may use exposed names, as the dashboard of MCPHub writes them; the plain name wins', () => {
    const off = { enabled: false }
    expect(server({ command: 'x', tools: { 's-a': off } }).overrides.tools.get('a')?.enabled).toBe(false)
    const both = server({ command: 'x', tools: { a: { enabled: true }, 's-a': off } })
    expect(both.overrides.tools.get('a')?.enabled).toBe(true)
    const separated = read({
      mcpServers: { s: { command: 'x', tools: { s__a: off } } },
      systemConfig: { nameSeparator: '__' },
    })
    expect(separated.settings.servers.get('s')?.overrides.tools.get('a')?.enabled).toBe(false)
  })

  test('by an exposed name also work for names that every JavaScript object inherits', () => {
    const tools = { 's-constructor': { enabled: false } }
    expect(server({ command: 'x', tools }).overrides.tools.get('constructor')?.enabled).toBe(false)
  })
})

describe('groups', () => {
  const mcpServers = { a: { command: 'x' }, b: { command: 'x' } }

  test('without an id are known by their name', () => {
    const { settings } = read({ mcpServers, groups: [{ name: 'g', servers: ['a'] }, { name: 'empty' }] })
    expect(settings.groups.map(({ id, members }) => [id, members.length])).toEqual([
      ['g', 1],
      ['empty', 0],
    ])
  })

  test('go without servers that do not exist, and that is said', () => {
    const { warnings } = read({ mcpServers, groups: [{ name: 'g', servers: ['a', { name: 'nope' }] }] })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/^f\.json:\d+:9: groups\.0\.servers\.1: there is no server "nope"/)
  })

  test('may have the name of a server, and that is said', () => {
    const { warnings } = read({ mcpServers, groups: [{ name: 'a', servers: [] }] })
    expect(warnings[0]).toContain('/mcp/a is the group')
  })

  test('must not share a name', () => {
    const error = refusal({ mcpServers, groups: [{ name: 'g' }, { name: 'h' }, { name: 'g' }] })
    expect(error.message).toMatch(/^f\.json:\d+:15: groups\.2\.name: there are two groups named "g"\.$/)
  })

  test('must not share an id either: /mcp/<id> and the keys that name it would mean two things', () => {
    expect(
      refusal({
        groups: [
          { id: 'x', name: 'g' },
          { id: 'x', name: 'h' },
        ],
      }).code,
    ).toBe('settings.invalid')
  })

  test('must not have the name of another as id', () => {
    const error = refusal({
      groups: [
        { id: 'one', name: 'g' },
        { id: 'g', name: 'h' },
      ],
    })
    expect(error.message).toMatch(
      /groups\.1\.id: "g" is the name of another group, and \/mcp\/g can be only one/,
    )
  })
})

describe('what other programs write into the file', () => {
  test('numbers and switches as arguments, variables and headers are taken as text', () => {
    const { transport } = server({ command: 'x', args: ['--port', 3000, true], env: { N: 1, B: false } })
    expect(transport).toMatchObject({ args: ['--port', '3000', 'true'], env: { N: '1', B: 'false' } })
    expect(server({ url: 'http://h', headers: { 'X-N': 7 } }).transport).toMatchObject({
      headers: { 'X-N': '7' },
    })
  })

  test('null and empty text mean that nothing is set', () => {
    expect(server({ command: 'x', args: null, env: null }).transport).toMatchObject({ args: [], env: {} })
    expect(server({ url: 'http://h', headers: null }).transport).toMatchObject({ headers: {} })
    const { settings } = read({
      mcpServers: { a: { command: 'x' } },
      groups: [{ name: 'g', servers: [{ name: 'a', alias: '' }] }],
    })
    expect(settings.groups[0]?.members[0]?.alias).toBeUndefined()
  })
})

describe('the largest body', () => {
  test.each([
    ['1mb', 1_048_576],
    ['1.5MB', 1_572_864],
    ['100kb', 102_400],
    [' 2 gb ', 2_147_483_648],
    ['512', 512],
    ['512b', 512],
    [4_096, 4_096],
  ])('%j is %i bytes', (jsonBodyLimit, bytes) => {
    expect(read({ systemConfig: { routing: { jsonBodyLimit } } }).settings.bodyLimitBytes).toBe(bytes)
  })

  test.each(['', 'much', '1tb', '-1mb', '1mb2', '0mb', '0.1b'])('%j is no size', (jsonBodyLimit) => {
    const error = refusal({ systemConfig: { routing: { jsonBodyLimit } } })
    expect(error.message).toMatch(/^f\.json:4:24: systemConfig\.routing\.jsonBodyLimit: .* is no size/)
  })
})

describe('settings that cannot be used', () => {
  test.each([
    ['{\n  "mcpServers": []\n}', 'f.json:2:17: mcpServers: '],
    ['{\n  "mcpServers": {\n    "a": 7\n  }\n}', 'f.json:3:10: mcpServers.a: '],
    ['{"mcpServers": {"a": {"command": ["x"]}}}', 'f.json:1:34: mcpServers.a.command: '],
    ['{"mcpServers": {"a": {"command": ""}}}', 'f.json:1:34: mcpServers.a.command: '],
    ['{"mcpServers": {"a": {"type": "grpc"}}}', 'f.json:1:31: mcpServers.a.type: '],
    ['{"mcpServers": {"a": {"options": {"timeout": "1"}}}}', 'f.json:1:46: mcpServers.a.options.timeout: '],
    ['{"groups": {}}', 'f.json:1:12: groups: '],
    ['{"groups": [{"servers": []}]}', 'f.json:1:13: groups.0.name: '],
    ['{"bearerKeys": [{}]}', 'f.json:1:17: bearerKeys.0.token: '],
    [
      '{"systemConfig": {"nameSeparator": "/"}}',
      'f.json:1:36: systemConfig.nameSeparator: one to ten letters',
    ],
    ['{"systemConfig": {"sessionTimeout": 0}}', 'f.json:1:37: systemConfig.sessionTimeout: '],
    ['[]', 'f.json:1:1: the document: '],
    ['{"mcpServers": }', 'f.json:1:16: it is not JSON: '],
  ])('%s are refused where they are wrong: %s', (text, start) => {
    const error = refusal(text)
    expect(error.code).toBe('settings.invalid')
    expect(error.message.slice(0, start.length)).toBe(start)
    expect(error.data).toMatchObject({ source: 'f.json', line: expect.any(Number) })
  })

  test('never come with the value of a secret in the message', () => {
    const error = refusal({ mcpServers: { a: { command: 'x', env: { K: ['hunter2'] } } } })
    expect(error.message).toContain('mcpServers.a.env.K')
    expect(error.message).not.toContain('hunter2')
  })
})
