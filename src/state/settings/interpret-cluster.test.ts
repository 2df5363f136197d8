import { describe, expect, test } from 'vitest'
import { defaultReplication, type Replication } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import { interpretSettings } from './interpret.ts'

type Variables = Record<string, string>

function read(document: unknown, variables: Variables = {}) {
  return interpretSettings(JSON.stringify(document, undefined, 2), 'f.json', variables)
}

function replication(input: object, variables: Variables = {}): Replication | undefined {
  const { settings } = read({ mcpServers: { s: { command: 'x', ...input } } }, variables)
  return settings.servers.get('s')?.replication
}

function refusal(document: unknown, variables: Variables = {}): HubError {
  try {
    read(document, variables)
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('The settings were not refused.')
}

describe('the copies of a server', () => {
  test('are one, anywhere, when nothing is said; under isolation "session" clients are told of a loss', () => {
    expect(replication({})).toEqual({
      replicas: 1,
      affinity: { nodeIds: [], excludeNodeIds: [], labels: {} },
      strategy: undefined,
      autoscale: undefined,
      stateLoss: 'stateless',
    })
    expect(replication({ isolation: 'session' })?.stateLoss).toBe('resumable')
    expect(replication({ isolation: 'user' })?.stateLoss).toBe('resumable')
    expect(replication({ perSessionClient: true })).toEqual(defaultReplication('session'))
    expect(replication({ replicas: null, affinity: null, strategy: null, autoscale: null })).toEqual(
      defaultReplication('shared'),
    )
  })

  test('[R87] are what the settings say', () => {
    expect(
      replication(
        {
          replicas: 3,
          affinity: { nodeIds: ['a', 'b'], excludeNodeIds: ['c'], labels: { gpu: true, zone: '${ZONE}' } },
          strategy: 'random',
          stateLoss: 'stateful',
        },
        { ZONE: 'eu' },
      ),
    ).toEqual({
      replicas: 3,
      affinity: { nodeIds: ['a', 'b'], excludeNodeIds: ['c'], labels: { gpu: 'true', zone: 'eu' } },
      strategy: 'random',
      autoscale: undefined,
      stateLoss: 'stateful',
    })
  })

  test('may be none, and of any strategy under either name', () => {
    expect(replication({ replicas: 0 })?.replicas).toBe(0)
    for (const strategy of ['round-robin', 'least-connections', 'weighted', 'random']) {
      expect(replication({ strategy })?.strategy).toBe(strategy)
      expect(replication({ loadBalanceStrategy: strategy })?.strategy).toBe(strategy)
    }
  })

  test.each([
    [{}, { min: 1, max: 1 }],
    [true, { min: 1, max: 1 }],
    [
      { min: 0, max: 4 },
      { min: 0, max: 4 },
    ],
    [
      { minReplicas: 2, maxReplicas: 5 },
      { min: 2, max: 5 },
    ],
    [{ min: 3 }, { min: 3, max: 3 }],
  ])('that follow the load (%j) have defaults', (autoscale, expected) => {
    expect(replication({ autoscale })?.autoscale).toEqual({
      ...expected,
      targetCalls: 8,
      upAfterMs: 10_000,
      downAfterMs: 300_000,
    })
  })

  test('that follow the load are at most as many as "replicas" says, unless "max" says more', () => {
    expect(replication({ replicas: 4, autoscale: {} })?.autoscale?.max).toBe(4)
    const all = { min: 1, max: 9, targetCalls: 2.5, upAfterMs: 0, downAfterMs: 1 }
    expect(replication({ replicas: 4, autoscale: all })?.autoscale).toEqual(all)
  })

  test.each([[false], [{ enabled: false, max: 3 }], [null]])(
    'do not follow the load with %j',
    (autoscale) => {
      expect(replication({ autoscale })?.autoscale).toBeUndefined()
    },
  )

  test.each([
    [{ replicas: -1 }, 'replicas: '],
    [{ replicas: 1_001 }, 'replicas: '],
    [{ replicas: 1.5 }, 'replicas: '],
    [{ replicas: '2' }, 'replicas: '],
    [{ strategy: 'best' }, 'strategy: '],
    [{ stateLoss: 'none' }, 'stateLoss: '],
    [{ affinity: { nodeIds: 'a' } }, 'affinity.nodeIds: '],
    [{ affinity: { nodeIds: [''] } }, 'affinity.nodeIds.0: '],
    [
      { affinity: { nodeIds: ['a'], excludeNodeIds: ['a'] } },
      'affinity.excludeNodeIds: the node "a" is preferred',
    ],
    [{ affinity: { labels: { a: {} } } }, 'affinity.labels.a: '],
    [{ autoscale: 3 }, 'autoscale: '],
    [{ autoscale: { max: 'many' } }, 'autoscale.max: '],
    [{ autoscale: { targetCalls: 0 } }, 'autoscale.targetCalls: '],
    [{ autoscale: { upAfterMs: 86_400_001 } }, 'autoscale.upAfterMs: '],
    [{ autoscale: { min: 3, max: 2 } }, 'autoscale: "max" (2) is less than "min" (3)'],
    [{ autoscale: { min: 0, max: 0 } }, 'autoscale: "max" is 0'],
  ])('cannot be %j', (input, why) => {
    const error = refusal({ mcpServers: { s: { command: 'x', ...input } } })
    expect(error.code).toBe('settings.invalid')
    expect(error.message).toMatch(/^f\.json:\d+:\d+: /)
    expect(error.message).toContain(`mcpServers.s.${why}`)
  })
})

describe('the cluster in a document', () => {
  test('is checked with the rest, so that no change keeps the next start from succeeding', () => {
    const error = refusal({ cluster: { enabled: true, role: 'master', master: { heartbeatTimeout: 1_000 } } })
    expect(error.message).toMatch(/^f\.json:6:27: cluster\.master\.heartbeatTimeout: the heartbeat timeout/)
    expect(refusal({ systemConfig: { cluster: 7 } }).message).toContain('systemConfig.cluster: ')
  })

  test('may lack what a flag can give', () => {
    expect(read({ cluster: { enabled: true, role: 'worker' } }).warnings).toEqual([])
    expect(read({ cluster: { enabled: true } }).warnings).toEqual([])
  })

  test('counts after the environment here too', () => {
    const cluster = { enabled: true, role: 'master', heartbeatInterval: 10_000 }
    expect(read({ cluster }, { CLUSTER_HEARTBEAT_TIMEOUT: '30000' }).warnings).toEqual([])
    expect(refusal({ cluster }).message).toContain('cluster.heartbeatInterval')
  })

  test('has tokens that are told, so that they can be kept out of logs', () => {
    const security = { token: '${TOKEN_OF_CLUSTER}', oldTokens: ['an-older-token'] }
    expect(
      read({ cluster: { enabled: true, role: 'master', security } }, { TOKEN_OF_CLUSTER: 'k3Zr9vQ2mW8xLp5T' })
        .clusterSecrets,
    ).toEqual(['k3Zr9vQ2mW8xLp5T', 'an-older-token'])
    expect(read({}).clusterSecrets).toBeUndefined()
  })

  test('keeps keys that nobody knows', () => {
    expect(read({ cluster: { enabled: false, federation: { a: 1 } } }).warnings).toEqual([])
  })
})
