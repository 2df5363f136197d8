/**
 * The text/event-stream format (WHATWG HTML §9.2), both ways, without sockets.
 */
export interface ServerSentEvent {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

export interface EventDecoderOptions {
  /** Longest event in characters; beyond it the decoder throws. */
  readonly limit: number
  readonly onEvent: (event: ServerSentEvent) => void
  readonly onRetry: (ms: number) => void
  readonly onTooLong: () => void
}

/** Takes pieces of the stream as they come and calls back for each whole event. */
export class EventDecoder {
  readonly #options: EventDecoderOptions
  readonly #text = new TextDecoder('utf-8')
  #line = ''
  #skipLineFeed = false
  #data: string[] = []
  #size = 0
  #event = ''
  #id: string | undefined
  #dead = false

  constructor(options: EventDecoderOptions) {
    this.#options = options
  }

  push(bytes: Uint8Array): void {
    if (this.#dead) return
    let text = this.#text.decode(bytes, { stream: true })
    if (this.#skipLineFeed && text.length > 0) {
      if (text[0] === '\n') text = text.slice(1)
      this.#skipLineFeed = false
    }
    let from = 0
    const nextBreak = breaksOf(text)
    for (let at = nextBreak(0); at !== -1; at = nextBreak(from)) {
      this.#takeLine(this.#line + text.slice(from, at))
      this.#line = ''
      from = at + 1
      if (text[at] === '\r') {
        if (text[from] === '\n') from += 1
        else if (from === text.length) this.#skipLineFeed = true
      }
    }
    this.#line += text.slice(from)
    if (this.#line.length + this.#size > this.#options.limit) this.#tooLong()
  }

  #tooLong(): void {
    if (this.#dead) return
    this.#dead = true
    this.#data = []
    this.#line = ''
    this.#options.onTooLong()
  }

  #takeLine(line: string): void {
    if (this.#dead) return
    if (line === '') return this.#dispatch()
    if (line[0] === ':') return
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      // The line feed that joins the lines counts too, or empty lines would be free.
      this.#size += value.length + 1
      if (this.#size > this.#options.limit) this.#tooLong()
    } else if (field === 'event') this.#event = value
    else if (field === 'id') {
      if (!value.includes('\0')) this.#id = value
    } else if (field === 'retry' && /^\d+$/.test(value)) this.#options.onRetry(Number(value))
  }

  #dispatch(): void {
    const data = this.#data.join('\n')
    const hasContent = this.#data.length > 0 || this.#id !== undefined
    const event = { event: this.#event || 'message', data, id: this.#id }
    this.#data = []
    this.#size = 0
    this.#event = ''
    this.#id = undefined
    if (hasContent) this.#options.onEvent(event)
  }
}

/**
 * Finds the next line break from a place that only moves on; -1 when there is none. Each kind is searched for from behind its
 * last find, so that a text without one of them is not searched to its end for every line.
 */
function breaksOf(text: string): (from: number) => number {
  const at = { '\n': -2, '\r': -2 }
  return (from) => {
    for (const mark of ['\n', '\r'] as const)
      if (at[mark] !== -1 && at[mark] < from) at[mark] = text.indexOf(mark, from)
    const [feed, carriage] = [at['\n'], at['\r']]
    if (feed === -1) return carriage
    return carriage === -1 ? feed : Math.min(feed, carriage)
  }
}

const END = Buffer.from('\n\n')

/** One event. `data` must be on one line, as every message is that came through `parseMessage`. */
export function encodeEvent(event: string, id: string | undefined, data: Buffer): Buffer {
  const head = `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: `
  return Buffer.concat([Buffer.from(head), data, END])
}

/** The event that opens a resumable stream: an id, no data, and how long to wait before reconnecting. */
export function encodePriming(id: string, retryMs: number): Buffer {
  return Buffer.from(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`)
}

export const KEEP_ALIVE_COMMENT: Buffer = Buffer.from(': keep-alive\n\n')
