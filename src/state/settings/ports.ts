import type { Revision, RevisionSummary } from '../../domain/settings-revision.ts'

/** Where the history of the settings document is kept. Every method may throw HubError `storage.unavailable`. */
export interface RevisionStore {
  latest(): Promise<Revision | undefined>
  get(number: number): Promise<Revision | undefined>
  /** Newest first. */
  list(page: { readonly before?: number; readonly limit: number }): Promise<readonly RevisionSummary[]>
  /** @throws HubError `settings.conflict` unless the latest revision has the number before this one's */
  append(revision: Revision): Promise<void>
  /** Puts newly sealed documents in the place of old ones, for a new secret; numbers and checksums stay. */
  replaceDocuments(documents: ReadonlyMap<number, string>): Promise<void>
}

/** The settings document in a database that nodes share. Every method may throw HubError `storage.unavailable`. */
export interface DocumentStore {
  /** The document and the number of its revision; undefined in a database that never had one. */
  read(): Promise<{ readonly revision: number; readonly document: Record<string, unknown> } | undefined>
  /** The number of the revision in force, cheaply: nodes ask every second. */
  currentRevision(): Promise<number | undefined>
  /**
   * Makes the document the one in force and appends its revision, both or neither.
   * @throws HubError `settings.conflict` unless the revision in force has the number before this one's
   */
  write(document: Record<string, unknown>, revision: Revision): Promise<void>
}
