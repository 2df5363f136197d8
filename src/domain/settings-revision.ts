/** One place of the settings document that is to have another value; `undefined` removes it. */
export interface SettingsEdit {
  readonly path: readonly (string | number)[]
  readonly value: unknown
}

/** Why a change was made, for those who look at the history. */
export interface ChangeReason {
  /** A user's name, `key:<id>`, `file`, `setup`, `migration`. */
  readonly author: string
  readonly reason: string | undefined
}

/** One version of the settings document, without the document. */
export interface RevisionSummary extends ChangeReason {
  /** From 1 on, without gaps. */
  readonly number: number
  readonly at: number
  /** SHA-256 of the document's canonical JSON, hex. */
  readonly checksum: string
  /** Places that differ from the revision before; secrets are named, their values never. */
  readonly changes: readonly RevisionChange[]
}

export interface RevisionChange {
  /** As a JSON pointer (RFC 6901). */
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed'
  /** What stood there and what stands there now, secrets masked; absent where there is nothing. */
  readonly before?: unknown
  readonly after?: unknown
}

export interface Revision extends RevisionSummary {
  /** The whole document, as JSON text, with every secret sealed. */
  readonly document: string
}
