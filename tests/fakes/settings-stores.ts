import { HubError } from '../../src/domain/errors.ts'
import type { Revision } from '../../src/domain/settings-revision.ts'
import type { DocumentStore, RevisionStore } from '../../src/state/settings/ports.ts'

/** The history and document of settings in memory, as a database would keep them. Several services may share them. */
export class FakeSettingsStores {
  readonly all: Revision[] = []
  /** While it is set everything fails with it. */
  failure: HubError | undefined
  #document: { revision: number; document: string } | undefined

  readonly revisions: RevisionStore = {
    latest: () => this.#answer(() => this.all.at(-1)),
    get: (number) => this.#answer(() => this.all[number - 1]),
    list: ({ before = Number.POSITIVE_INFINITY, limit }) =>
      this.#answer(() =>
        this.all
          .filter(({ number }) => number < before)
          .toReversed()
          .slice(0, limit)
          .map(({ document: _document, ...summary }) => summary),
      ),
    append: (revision) => this.#answer(() => this.#append(revision)),
    replaceDocuments: (documents) =>
      this.#answer(() => {
        for (const [number, document] of documents) {
          const revision = this.all[number - 1]
          if (revision) this.all[number - 1] = { ...revision, document }
        }
      }),
  }

  readonly documents: DocumentStore = {
    read: () =>
      this.#answer(
        () =>
          this.#document && {
            revision: this.#document.revision,
            document: JSON.parse(this.#document.document) as Record<string, unknown>,
          },
      ),
    currentRevision: () => this.#answer(() => this.#document?.revision),
    write: (document, revision) =>
      this.#answer(() => {
        this.#append(revision)
        this.#document = { revision: revision.number, document: JSON.stringify(document) }
      }),
  }

  #append(revision: Revision): void {
    if (revision.number !== this.all.length + 1)
      throw new HubError('settings.conflict', 'Somebody else was faster.')
    this.all.push(revision)
  }

  /** Never at once, as with a database. */
  async #answer<T>(look: () => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.failure) throw this.failure
    return look()
  }
}

export function storageAway(): HubError {
  return new HubError('storage.unavailable', 'The database is away.', { retryAfter: 5 })
}
