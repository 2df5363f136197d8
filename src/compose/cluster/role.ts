import { NodeGate } from '../../access/node-gate.ts'
import type { ClusterPort } from '../../api/ports.ts'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import type { Hub } from '../hub.ts'
import type { Environment } from '../state.ts'
import { clusterPort } from './cluster-port.ts'
import { Coordinator, type CoordinatorDeps } from './coordinator.ts'
import { nodeFacts } from './facts.ts'
import { nextTerm } from './term.ts'

export interface RoleOptions {
  readonly settings: ClusterSettings
  readonly dataDir: string
  readonly environment: Environment
  readonly host: string
  readonly port: number
}

/** What a hub is beside itself: a coordinator, or nothing. */
export class Role {
  readonly coordinator: Coordinator | undefined
  readonly #settings: ClusterSettings
  readonly #turn = new Semaphore(1)
  #hub: Hub | undefined
  #current: HubSettings | undefined

  static async of(options: RoleOptions, deps: CoordinatorDeps): Promise<Role> {
    const { settings, dataDir } = options
    if (settings.role !== 'coordinator') return new Role(settings, () => undefined)
    const self = await nodeFacts({ ...options, role: 'coordinator' }, deps.random)
    const term = await nextTerm(dataDir, deps.clock)
    return new Role(settings, (onPinned) => new Coordinator({ settings, self, term, onPinned }, deps))
  }

  private constructor(settings: ClusterSettings, make: (onPinned: () => void) => Coordinator | undefined) {
    this.#settings = settings
    this.coordinator = make(() => void this.#apply())
  }

  /** The settings as clients see them. */
  shown(settings: HubSettings): HubSettings {
    this.#current = settings
    return this.coordinator?.effective(settings) ?? settings
  }

  /** Tells which hub shows them. */
  serve(hub: Hub, settings: HubSettings): void {
    this.#hub = hub
    this.shown(settings)
  }

  /** Puts settings into force, those of the workers with them. */
  async apply(settings: HubSettings): Promise<void> {
    this.#current = settings
    await this.#apply()
  }

  port(hub: Hub, revision: () => number | undefined): ClusterPort | undefined {
    const { coordinator } = this
    return (
      coordinator && clusterPort({ coordinator, hub, gate: new NodeGate(this.#settings.token), revision })
    )
  }

  /** One after the other: what came later must not be overtaken. */
  async #apply(): Promise<void> {
    const release = await this.#turn.acquire()
    try {
      if (this.#hub && this.#current) await this.#hub.apply(this.shown(this.#current))
    } finally {
      release()
    }
  }
}
