import type { NodeFacts, NodeRole } from '../../domain/cluster.ts'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import { isLoopback } from '../../domain/loopback.ts'
import { findRuntimes, machineFacts } from '../../fleet/membership/machine-load.ts'
import type { Random } from '../../kernel/random.ts'
import { VERSION } from '../../kernel/version.ts'
import { nodeId } from '../node-id.ts'
import type { Environment } from '../state.ts'

export interface FactsOptions {
  readonly settings: ClusterSettings
  readonly role: NodeRole
  readonly dataDir: string
  readonly environment: Environment
  /** Where this node listens. */
  readonly host: string
  readonly port: number
}

/** What this node says of itself. */
export async function nodeFacts(options: FactsOptions, random: Random): Promise<NodeFacts> {
  const { settings, role, dataDir, environment } = options
  const { advertise, labels, weight, maxServers } = settings
  const machine = machineFacts()
  const host = advertise.host ?? (isForOthers(options.host, settings) ? options.host : undefined)
  return {
    ...machine,
    id: settings.nodeId ?? (await nodeId(dataDir, random)),
    name: settings.nodeName ?? machine.hostname,
    role,
    version: VERSION,
    host,
    port: host === undefined ? undefined : (advertise.port ?? options.port),
    labels,
    weight,
    maxServers,
    runtimes: await findRuntimes(environment['PATH']),
  }
}

/** Neither does "any address" say where others reach this node, nor does one of this machine to a coordinator on another. */
function isForOthers(host: string, { coordinators }: ClusterSettings): boolean {
  if (host === '0.0.0.0' || host === '::' || host === '[::]') return false
  const isHere = (url: string) => isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'))
  return !isLoopback(host) || coordinators.every(isHere)
}

/** The tokens of the cluster: the one in use first, then those of before. */
export function tokensOf({ token, oldTokens }: ClusterSettings): readonly string[] {
  return token === undefined ? oldTokens : [token, ...oldTokens]
}
