import { NodeGate } from '../../access/node-gate.ts'
import type { ClusterPort } from '../../api/ports.ts'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import type { Logger } from '../../kernel/logger.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import type { Hub } from '../hub.ts'
import type { Environment } from '../state.ts'
import { clusterPort } from './cluster-port.ts'
import { Coordinator, type CoordinatorDeps } from './coordinator.ts'
import { nodeFacts } from './facts.ts'
import { ClusterMemory } from './memory.ts'
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
  /** Waits for its turn, and takes the settings that are the case then. */
  #next: Promise<void> | undefined

  static async of(options: RoleOptions, deps: CoordinatorDeps): Promise<Role> {
    const { settings, dataDir } = options
    if (settings.role !== 'coordinator') return new Role(settings, deps.log, () => undefined)
    const self = await nodeFacts({ ...options, role: 'coordinator' }, deps.random)
    const term = await nextTerm(dataDir, deps.clock)
    const memory = await ClusterMemory.open(dataDir, deps.log)
    const make = (onPinned: () => void) => new Coordinator({ settings, self, term, memory, onPinned }, deps)
    return new Role(settings, deps.log, make)
  }

  private constructor(
    settings: ClusterSettings,
    log: Logger,
    make: (onPinned: () => void) => Coordinator | undefined,
  ) {
    this.#settings = settings
    // Whatever a worker brings along, it must not end this process.
    const failed = (err: unknown) =>
      log.error({ err }, 'the servers that workers bring along are not in force')
    this.coordinator = make(() => void this.#apply().catch(failed))
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

  /** One after the other: what came later must not be overtaken. Those that come while one waits share it: many nodes may join at once. */
  #apply(): Promise<void> {
    this.#next ??= this.#applyInTurn()
    return this.#next
  }

  async #applyInTurn(): Promise<void> {
    const release = await this.#turn.acquire()
    this.#next = undefined
    try {
      if (this.#hub && this.#current) await this.#hub.apply(this.shown(this.#current))
    } finally {
      release()
    }
  }
}
