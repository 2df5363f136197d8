import type { HubSettings, ServerSpec } from '../../domain/server-spec.ts'
import { fromWire, type WireSpec } from '../../fleet/link/spec-wire.ts'
import type { Logger } from '../../kernel/logger.ts'

/** The servers that workers bring along. */
export class PinnedServers {
  readonly #log: Logger
  /** `text`: what they were read from. */
  readonly #byNode = new Map<string, { readonly specs: readonly ServerSpec[]; readonly text: string }>()
  #told: ReadonlySet<string> = new Set()

  constructor(log: Logger) {
    this.#log = log
  }

  /** These are the servers of a node. Returns whether that is news. */
  set(node: string, wire: readonly WireSpec[]): boolean {
    const text = JSON.stringify(wire)
    if (text === (this.#byNode.get(node)?.text ?? '[]')) return false
    this.#byNode.set(node, { specs: wire.map(fromWire), text })
    return true
  }

  remove(node: string): boolean {
    return this.#byNode.delete(node)
  }

  /** What a coordinator shows: the servers of its own settings, and those of its workers that these do not name. */
  addTo(settings: HubSettings): HubSettings {
    const servers = new Map(settings.servers)
    const clashes = new Set<string>()
    // In the order of ids, so that who came first does not decide whose description is shown.
    for (const [node, { specs }] of [...this.#byNode].sort(([a], [b]) => (a < b ? -1 : 1)))
      for (const spec of specs) {
        const shown = servers.get(spec.name)
        if (!shown) servers.set(spec.name, spec)
        else if (shown.isolation !== spec.isolation) clashes.add(clashOf(node, spec, shown))
      }
    for (const clash of clashes) if (!this.#told.has(clash)) this.#log.warn({}, clash)
    this.#told = clashes
    return servers.size === settings.servers.size ? settings : { ...settings, servers }
  }
}

function clashOf(node: string, own: ServerSpec, shown: ServerSpec): string {
  return (
    `Node "${node}" runs server "${own.name}" with isolation "${own.isolation}", the cluster with "${shown.isolation}": ` +
    'sessions may share what they should not. Give both the same isolation, or different names.'
  )
}
