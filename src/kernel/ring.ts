/** Keeps the newest `capacity` items. */
export class Ring<T> {
  readonly #items: T[] = []
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  push(item: T): void {
    this.#items.push(item)
    if (this.#items.length > this.#capacity) this.#items.shift()
  }

  /** Oldest first. */
  items(): readonly T[] {
    return this.#items
  }
}
