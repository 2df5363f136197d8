import { Ring } from '../kernel/ring.ts'

/** A line of the hub's own log, for those who may read it over the API. */
export interface LogLine {
  /** ms since the epoch. */
  readonly timestamp: number
  readonly level: string
  readonly message: string
  /** The server that it concerns, if it is one's. */
  readonly server: string | undefined
}

const KEPT = 1_000
/** A follower that does not read misses lines rather than filling the memory. */
const WAITING = 1_000

/** Keeps the last lines of the log. Lines are read only when somebody asks for them. */
export class LogLines {
  #lines = new Ring<string>(KEPT)
  readonly #followers = new Set<(line: string) => void>()

  /** @param line as the logger wrote it, JSON without secrets */
  take(line: string): void {
    this.#lines.push(line)
    for (const follower of this.#followers) follower(line)
  }

  /** The last lines, oldest first, of the hub or of one server. */
  recent(limit: number, server?: string): readonly LogLine[] {
    const wanted: LogLine[] = []
    for (const text of this.#lines.items().toReversed()) {
      if (wanted.length === limit) break
      const line = parse(text)
      if (line && (server === undefined || line.server === server)) wanted.push(line)
    }
    return wanted.reverse()
  }

  /** Lines as they come, until the signal is aborted. */
  async *follow(signal: AbortSignal, server?: string): AsyncGenerator<LogLine> {
    const waiting = new Ring<string>(WAITING)
    let taken = 0
    let wake: () => void = () => undefined
    const follower = (line: string) => {
      waiting.push(line)
      taken += 1
      wake()
    }
    const stop = () => wake()
    this.#followers.add(follower)
    signal.addEventListener('abort', stop, { once: true })
    try {
      for (let given = 0; !signal.aborted; ) {
        const fresh = taken - given
        given = taken
        for (const text of fresh > 0 ? waiting.items().slice(-fresh) : []) {
          const line = parse(text)
          if (line && (server === undefined || line.server === server)) yield line
        }
        if (taken === given && !signal.aborted)
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      this.#followers.delete(follower)
      signal.removeEventListener('abort', stop)
    }
  }

  clear(): void {
    this.#lines = new Ring(KEPT)
  }
}

function parse(text: string): LogLine | undefined {
  try {
    const { time, level, msg, server } = JSON.parse(text) as Record<string, unknown>
    return {
      timestamp: Date.parse(String(time)) || 0,
      level: String(level),
      message: String(msg ?? ''),
      server: typeof server === 'string' ? server : undefined,
    }
  } catch {
    // A line for people that is no JSON is nothing that a program could be shown.
    return undefined
  }
}
