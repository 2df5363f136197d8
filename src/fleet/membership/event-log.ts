import type { ClusterEvent, ClusterNews } from '../../domain/cluster.ts'
import type { Clock } from '../../kernel/clock.ts'
import { Ring } from '../../kernel/ring.ts'

/** As many events are kept. */
export const KEPT_EVENTS = 1_000

/** What has lately happened in the cluster, for people. */
export class EventLog {
  readonly #clock: Clock
  readonly #events = new Ring<ClusterEvent>(KEPT_EVENTS)
  #last = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(news: ClusterNews): ClusterEvent {
    this.#last += 1
    const event: ClusterEvent = {
      number: this.#last,
      at: this.#clock.now(),
      kind: news.kind,
      node: news.node,
      server: news.server,
      replica: news.replica,
      text: news.text,
    }
    this.#events.push(event)
    return event
  }

  /** The newest number that there is; 0 before the first event. */
  get last(): number {
    return this.#last
  }

  /** The first `limit` events after that number, oldest first. Those that are not kept any more are left out. */
  since(number: number, limit: number): readonly ClusterEvent[] {
    const events = this.#events.items()
    const oldest = this.#last - events.length + 1
    const from = Math.max(0, number + 1 - oldest)
    return events.slice(from, from + Math.max(0, limit))
  }
}
