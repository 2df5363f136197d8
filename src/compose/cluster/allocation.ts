import type { Allocation } from '../../api/worker/ports.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { SettingsChecker } from '../../state/settings/settings-checker.ts'

/** Replicas that somebody with the cluster token has asked this worker for by hand, beside those of its settings. */
export class Allocations {
  readonly #specs = new Map<string, ServerSpec>()
  readonly #onChange: () => void
  #checker: SettingsChecker | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** By the id of the replica. */
  get specs(): ReadonlyMap<string, ServerSpec> {
    return this.#specs
  }

  /** To be called once the worker's settings have been read. */
  open(checker: SettingsChecker): void {
    this.#checker = checker
  }

  /** @throws HubError `resource.exists`, `settings.invalid`, `hub.stopping` */
  async allocate({ serverName, replicaId, config }: Allocation): Promise<void> {
    if (this.#specs.has(replicaId))
      throw new HubError('resource.exists', `Replica "${replicaId}" runs here already.`, {
        data: { replica: replicaId },
        cure: 'Release it first, or choose another id.',
      })
    const spec = this.#interpreted(serverName, config)
    this.#specs.set(replicaId, spec)
    this.#onChange()
  }

  /** @throws HubError `resource.missing` */
  async release({ replicaId, serverName }: Omit<Allocation, 'config'>): Promise<void> {
    if (this.#specs.get(replicaId)?.name !== serverName)
      throw new HubError(
        'resource.missing',
        `No replica "${replicaId}" of "${serverName}" was allocated here.`,
        {
          data: { replica: replicaId, server: serverName },
          cure: 'Replicas of the settings, and those that the coordinator places, end with these.',
        },
      )
    this.#specs.delete(replicaId)
    this.#onChange()
  }

  #interpreted(serverName: string, config: Allocation['config']): ServerSpec {
    const text = JSON.stringify({ mcpServers: { [serverName]: { ...config, enabled: true } } })
    const spec = this.#checker?.interpret(text, 'the allocation').settings.servers.get(serverName)
    if (spec) return spec
    throw new HubError('hub.stopping', 'The worker is still starting.', { retryAfter: 1, cure: 'Try again.' })
  }
}
