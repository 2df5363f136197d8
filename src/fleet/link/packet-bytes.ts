import { HubError } from '../../domain/errors.ts'

/** To which call a message of a server belongs: its number; `gone` if that is over; undefined where nobody can tell. */
export type RelatedNumber = number | 'gone' | undefined

export const NOTHING = Buffer.alloc(0)
const RELATED = { none: 0, call: 1, gone: 2 } as const
/** Bytes that a `RelatedNumber` takes. */
export const RELATED_SIZE = 7

/** Bytes that a text takes: its length, and itself. */
export function textSize(text: string): number {
  return 4 + Buffer.byteLength(text)
}

export function linkViolation(why: string): HubError {
  return new HubError('link.violation', `Another node sent a packet that cannot be used: ${why}.`, {
    cure: 'Run the same version of Flotilla on all nodes.',
  })
}

/** Writes field after field into one piece of memory. */
export class Writer {
  readonly #bytes: Buffer
  #at = 1

  /** @param size of the whole packet, in bytes */
  constructor(kind: number, size: number) {
    this.#bytes = Buffer.allocUnsafe(size)
    this.#bytes[0] = kind
  }

  u8(value: number): this {
    this.#bytes[this.#at] = value
    this.#at += 1
    return this
  }

  u32(value: number): this {
    this.#at = this.#bytes.writeUInt32BE(value, this.#at)
    return this
  }

  u48(value: number): this {
    this.#at = this.#bytes.writeUIntBE(value, this.#at, 6)
    return this
  }

  text(text: string): this {
    const start = this.#at + 4
    const length = this.#bytes.write(text, start)
    this.#bytes.writeUInt32BE(length, this.#at)
    this.#at = start + length
    return this
  }

  related(related: RelatedNumber): this {
    if (related === undefined) return this.u8(RELATED.none).u48(0)
    return related === 'gone' ? this.u8(RELATED.gone).u48(0) : this.u8(RELATED.call).u48(related)
  }

  /** The body, or the note that there is none. */
  optional(body: Buffer | undefined): Buffer {
    return this.u8(body ? 1 : 0).end(body ?? NOTHING)
  }

  end(body: Buffer): Buffer {
    this.#bytes.set(body, this.#at)
    return this.#bytes
  }
}

/** Reads field after field; what is not there, or not as it must be, is a violation. */
export class Reader {
  readonly #bytes: Buffer
  #at = 1

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  flag(): boolean {
    const value = this.u8()
    if (value > 1) throw linkViolation(`${value} is neither yes nor no`)
    return value === 1
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  u48(): number {
    return this.#bytes.readUIntBE(this.#take(6), 6)
  }

  text(): string {
    const length = this.u32()
    const start = this.#take(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  related(): RelatedNumber {
    const [how, call] = [this.u8(), this.u48()]
    if (how === RELATED.none) return undefined
    if (how === RELATED.call) return call
    if (how === RELATED.gone) return 'gone'
    throw linkViolation(`${how} is no way to belong to a call`)
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at)
  }

  optional(): Buffer | undefined {
    return this.flag() ? this.rest() : this.whole(undefined)
  }

  /** `value`, if nothing is left. */
  whole<T>(value: T): T {
    if (this.#at !== this.#bytes.length) throw linkViolation('it is longer than it should be')
    return value
  }

  #take(length: number): number {
    const start = this.#at
    if (start + length > this.#bytes.length) throw linkViolation('it ends too early')
    this.#at = start + length
    return start
  }
}
