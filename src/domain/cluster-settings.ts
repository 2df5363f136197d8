import type { AffinityStrategy, BalanceStrategy } from './cluster.ts'

/** How a node takes part in a cluster: checked and complete. */
export interface ClusterSettings {
  readonly role: 'standalone' | 'coordinator' | 'worker'
  /** Whether the role was written as `master`, so that the API and the log say so too. */
  readonly calledMaster: boolean
  /** undefined: the id that is kept in the data directory. */
  readonly nodeId: string | undefined
  /** undefined: the host's name. */
  readonly nodeName: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly weight: number
  /** How many replicas this node runs at most; undefined = no limit. */
  readonly maxServers: number | undefined
  /** Whether a coordinator runs servers too. `auto`: those that no worker can run at the moment of placing them. */
  readonly runsServers: boolean | 'auto'
  /** Where the cluster settings say to listen; flags, PORT and HOST come first. */
  readonly listen: { readonly host: string | undefined; readonly port: number | undefined }
  /** Where others reach this node. */
  readonly advertise: { readonly host: string | undefined; readonly port: number | undefined }
  /** Of a worker: URLs of its coordinators, at least one. */
  readonly coordinators: readonly string[]
  /** Of a worker: whether it joins by itself; if not, it waits until it is told to. */
  readonly registerOnStartup: boolean
  readonly token: string | undefined
  /** Of a coordinator: tokens of before, which it still accepts while they are being replaced. */
  readonly oldTokens: readonly string[]
  readonly tls: ClusterTls | undefined
  readonly heartbeatIntervalMs: number
  /** Also called `nodeTimeout`: silent for longer, a node is offline. */
  readonly heartbeatTimeoutMs: number
  readonly cleanupIntervalMs: number
  /** How long a worker keeps what sessions have in it while its link is down. */
  readonly linkGraceMs: number
  readonly balance: BalanceStrategy
  readonly sticky: StickySettings
}

/** Paths of PEM files. */
export interface ClusterTls {
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  /** Who signs the certificates of the others; undefined: the system's authorities. */
  readonly caFile: string | undefined
  /** Of a coordinator: workers must show a certificate that `caFile` has signed. */
  readonly mutual: boolean
}

export interface StickySettings {
  readonly enabled: boolean
  readonly strategy: AffinityStrategy
  readonly cookieName: string
  readonly headerName: string
  /** A bond that has not been used for this long is forgotten. */
  readonly timeoutMs: number
}

export const STANDALONE: ClusterSettings = {
  role: 'standalone',
  calledMaster: false,
  nodeId: undefined,
  nodeName: undefined,
  labels: {},
  weight: 1,
  maxServers: undefined,
  runsServers: true,
  listen: { host: undefined, port: undefined },
  advertise: { host: undefined, port: undefined },
  coordinators: [],
  registerOnStartup: true,
  token: undefined,
  oldTokens: [],
  tls: undefined,
  heartbeatIntervalMs: 5_000,
  heartbeatTimeoutMs: 15_000,
  cleanupIntervalMs: 30_000,
  linkGraceMs: 30_000,
  balance: 'least-connections',
  sticky: {
    enabled: true,
    strategy: 'consistent-hash',
    cookieName: 'MCPHUB_NODE',
    headerName: 'X-MCPHub-Node',
    timeoutMs: 3_600_000,
  },
}
