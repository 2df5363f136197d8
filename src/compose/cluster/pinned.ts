import type { HubSettings, ServerSpec } from '../../domain/server-spec.ts'

/** Which servers workers bring along, by the worker's id. */
export type PinnedServers = ReadonlyMap<string, { readonly specs: readonly ServerSpec[] }>

/** What a coordinator shows: the servers of its own settings, and those of its workers that these do not name. */
export function withPinned(settings: HubSettings, pinned: PinnedServers): HubSettings {
  const servers = new Map(settings.servers)
  // In the order of ids, so that who came first does not decide whose description is shown.
  for (const [, { specs }] of [...pinned].sort(([a], [b]) => (a < b ? -1 : 1)))
    for (const spec of specs) if (!servers.has(spec.name)) servers.set(spec.name, spec)
  return servers.size === settings.servers.size ? settings : { ...settings, servers }
}
