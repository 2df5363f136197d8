import type { z } from 'zod'
import type { SettingsEdit } from '../domain/settings-revision.ts'
import type { replicasChange } from './contract/cluster.ts'
import type { Config } from './document.ts'

export type ReplicasChange = z.output<typeof replicasChange>

/** What a change of a server's replicas does to the document; what is null is taken back to its default. */
export function replicasEdits(server: string, stored: Config, change: ReplicasChange): SettingsEdit[] {
  const edits = (['replicas', 'affinity', 'strategy', 'autoscale'] as const)
    .filter((member) => change[member] !== undefined)
    .map(
      (member): SettingsEdit => ({
        path: ['mcpServers', server, member],
        value: change[member] ?? undefined,
      }),
    )
  // The same by another name, which would go on to speak where the new one is taken back.
  const renamed = change.strategy !== undefined && stored['loadBalanceStrategy'] !== undefined
  return renamed
    ? [...edits, { path: ['mcpServers', server, 'loadBalanceStrategy'], value: undefined }]
    : edits
}
