const NEWLINE = 0x0a
const RETURN = 0x0d

export interface LineSplitterOptions {
  /** Longest line in bytes. */
  readonly limit: number
  /** A whole line without its end; empty lines are left out. The bytes are the receiver's to keep. */
  readonly onLine: (line: Buffer) => void
  /** A line passed the limit; the splitter drops everything from then on. */
  readonly onTooLong: () => void
}

/** Cuts a byte stream into lines (stdio transport: messages are delimited by newlines and contain none). */
export class LineSplitter {
  readonly #options: LineSplitterOptions
  #pieces: Buffer[] = []
  #size = 0
  #dead = false

  constructor(options: LineSplitterOptions) {
    this.#options = options
  }

  push(chunk: Buffer): void {
    if (this.#dead) return
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      if (!this.#take(chunk.subarray(from, at))) return
      this.#emit()
      from = at + 1
    }
    if (from < chunk.length) this.#take(chunk.subarray(from))
  }

  /** The stream has ended: what is left is the last line. */
  end(): void {
    if (!this.#dead) this.#emit()
  }

  #take(piece: Buffer): boolean {
    this.#size += piece.length
    if (this.#size > this.#options.limit) {
      this.#dead = true
      this.#pieces = []
      this.#options.onTooLong()
      return false
    }
    if (piece.length > 0) this.#pieces.push(piece)
    return true
  }

  #emit(): void {
    const [first] = this.#pieces
    if (!first) return
    const line = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#size)
    this.#pieces = []
    this.#size = 0
    const trimmed = line.at(-1) === RETURN ? line.subarray(0, -1) : line
    if (trimmed.length > 0) this.#options.onLine(trimmed)
  }
}
