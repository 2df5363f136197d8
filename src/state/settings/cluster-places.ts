/** The flags of `flotilla serve` that say how the node takes part in a cluster. */
export interface ClusterFlags {
  readonly role?: string
  /** URLs, separated by commas. */
  readonly coordinator?: string
  readonly tokenFile?: string
  readonly nodeId?: string
  readonly name?: string
  readonly labels?: string
  readonly maxServers?: string
}

/** Where a setting may stand. The first that says something counts. */
export interface Place {
  readonly flag?: { readonly key: keyof ClusterFlags; readonly name: string }
  readonly variables: readonly string[]
  /** Within `systemConfig.cluster` and `cluster`; `coordinator` is called `master` too, and `node` is called `worker`. */
  readonly members: readonly string[]
}

function flag(key: keyof ClusterFlags, name: string): Required<Pick<Place, 'flag'>> {
  return { flag: { key, name } }
}

/** Each setting of a cluster by its place in `ClusterSettings`. */
export const CLUSTER_PLACES = {
  enabled: { variables: ['CLUSTER_ENABLED'], members: ['enabled'] },
  role: { ...flag('role', '--role'), variables: ['CLUSTER_ROLE'], members: ['role', 'mode'] },
  nodeId: {
    ...flag('nodeId', '--node-id'),
    variables: ['CLUSTER_NODE_ID', 'NODE_ID'],
    members: ['nodeId', 'node.id'],
  },
  nodeName: {
    ...flag('name', '--name'),
    variables: ['CLUSTER_NODE_NAME'],
    members: ['nodeName', 'name', 'node.name'],
  },
  labels: {
    ...flag('labels', '--labels'),
    variables: ['CLUSTER_LABELS'],
    members: ['labels', 'node.labels'],
  },
  weight: { variables: ['CLUSTER_WEIGHT'], members: ['weight', 'node.weight'] },
  maxServers: {
    ...flag('maxServers', '--max-servers'),
    variables: ['CLUSTER_MAX_SERVERS'],
    members: ['maxServers', 'node.maxServers'],
  },
  runsServers: { variables: ['CLUSTER_RUN_SERVERS'], members: ['runServers', 'coordinator.runServers'] },
  'listen.host': {
    variables: ['CLUSTER_MASTER_HOST', 'CLUSTER_COORDINATOR_HOST'],
    members: ['coordinator.host'],
  },
  'listen.port': {
    variables: ['CLUSTER_MASTER_PORT', 'CLUSTER_COORDINATOR_PORT'],
    members: ['coordinator.port'],
  },
  'advertise.host': {
    variables: ['CLUSTER_ADVERTISE_HOST'],
    members: ['advertiseHost', 'node.advertiseHost', 'coordinator.advertiseHost'],
  },
  'advertise.port': {
    variables: ['CLUSTER_ADVERTISE_PORT'],
    members: ['advertisePort', 'node.advertisePort', 'coordinator.advertisePort'],
  },
  coordinators: {
    ...flag('coordinator', '--coordinator'),
    variables: ['CLUSTER_MASTER_URL', 'CLUSTER_COORDINATOR_URLS', 'CLUSTER_COORDINATOR_URL'],
    members: [
      'coordinatorUrls',
      'coordinatorUrl',
      'masterUrl',
      'node.coordinatorUrls',
      'node.coordinatorUrl',
      'node.masterUrl',
    ],
  },
  registerOnStartup: {
    variables: ['CLUSTER_REGISTER_ON_STARTUP'],
    members: ['registerOnStartup', 'node.registerOnStartup'],
  },
  token: { variables: ['CLUSTER_TOKEN'], members: ['security.token', 'token'] },
  tokenFile: {
    ...flag('tokenFile', '--token-file'),
    variables: ['CLUSTER_TOKEN_FILE'],
    members: ['security.tokenFile', 'tokenFile'],
  },
  oldTokens: { variables: ['CLUSTER_TOKEN_OLD'], members: ['security.oldTokens'] },
  'tls.enabled': { variables: ['CLUSTER_TLS_ENABLED'], members: ['security.tlsEnabled'] },
  'tls.certFile': { variables: ['CLUSTER_TLS_CERT'], members: ['security.tlsCert'] },
  'tls.keyFile': { variables: ['CLUSTER_TLS_KEY'], members: ['security.tlsKey'] },
  'tls.caFile': { variables: ['CLUSTER_TLS_CA'], members: ['security.tlsCa'] },
  'tls.mutual': {
    variables: ['CLUSTER_TLS_MUTUAL'],
    members: ['security.tlsMutual', 'security.mutual'],
  },
  heartbeatIntervalMs: {
    variables: ['CLUSTER_HEARTBEAT_INTERVAL'],
    members: ['heartbeatInterval', 'coordinator.heartbeatInterval', 'node.heartbeatInterval'],
  },
  heartbeatTimeoutMs: {
    variables: ['CLUSTER_HEARTBEAT_TIMEOUT', 'CLUSTER_NODE_TIMEOUT'],
    members: [
      'heartbeatTimeout',
      'nodeTimeout',
      'coordinator.heartbeatTimeout',
      'coordinator.nodeTimeout',
      'node.heartbeatTimeout',
      'node.nodeTimeout',
    ],
  },
  cleanupIntervalMs: {
    variables: ['CLUSTER_CLEANUP_INTERVAL'],
    members: ['cleanupInterval', 'coordinator.cleanupInterval'],
  },
  linkGraceMs: {
    variables: ['CLUSTER_LINK_GRACE'],
    members: ['linkGrace', 'node.linkGrace', 'coordinator.linkGrace'],
  },
  balance: {
    variables: ['CLUSTER_LOAD_BALANCE_STRATEGY'],
    members: ['loadBalanceStrategy', 'coordinator.loadBalanceStrategy'],
  },
  'sticky.enabled': { variables: ['CLUSTER_STICKY_ENABLED'], members: ['stickySession.enabled'] },
  'sticky.strategy': { variables: ['CLUSTER_STICKY_STRATEGY'], members: ['stickySession.strategy'] },
  'sticky.cookieName': { variables: ['CLUSTER_STICKY_COOKIE'], members: ['stickySession.cookieName'] },
  'sticky.headerName': { variables: ['CLUSTER_STICKY_HEADER'], members: ['stickySession.headerName'] },
  'sticky.timeoutMs': {
    variables: ['CLUSTER_STICKY_TIMEOUT'],
    members: ['stickySession.timeout', 'coordinator.stickySessionTimeout', 'stickySessionTimeout'],
  },
} as const satisfies Record<string, Place>

export type ClusterKey = keyof typeof CLUSTER_PLACES

/** The paths in a document at which a setting may stand, the one that counts first. */
export function documentPaths(key: ClusterKey): readonly (readonly string[])[] {
  return BLOCKS.flatMap((block) =>
    CLUSTER_PLACES[key].members.flatMap(spellings).map((member) => [...block, ...member.split('.')]),
  )
}

/** The API changes `systemConfig`: what it says counts before what stands beside it. */
export const BLOCKS: readonly (readonly string[])[] = [['systemConfig', 'cluster'], ['cluster']]

/** What must be an object where it is there. */
export const GROUPS: readonly string[] = [
  'coordinator',
  'master',
  'node',
  'worker',
  'security',
  'stickySession',
]

function spellings(member: string): string[] {
  if (member.startsWith('coordinator.')) return [member, member.replace('coordinator', 'master')]
  if (member.startsWith('node.')) return [member, member.replace('node', 'worker')]
  return [member]
}
