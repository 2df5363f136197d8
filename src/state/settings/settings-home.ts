import type { Revision } from '../../domain/settings-revision.ts'
import type { Document } from '../secrets/secrets-in-document.ts'

/** The document as it is kept. */
export interface Kept {
  /** In a file some secrets may stand open. */
  readonly document: Document
  /** As it stands in a file; undefined where there is no text, or no file. */
  readonly text: string | undefined
  /** Differs when the document differs. */
  readonly stamp: string
}

/** The document as it is kept, and the revision that it is. */
export interface Base {
  readonly document: Document
  /** Undefined before the first revision. */
  readonly latest: Revision | undefined
}

export interface Draft {
  readonly document: Document
  readonly revision: Revision
}

/** Where the settings document is kept: what changing it needs to know of a file or a database. */
export interface SettingsHome {
  readonly name: string
  /** How soon a change of others should be noticed, ms. */
  readonly lookEveryMs: number
  /** Cheap when its stamp is `known`: then undefined. @throws HubError that the document cannot be read */
  read(known?: string): Promise<Kept | undefined>
  /** Makes a revision of what others have written, where that has none. @throws HubError `storage.unavailable` */
  base(): Promise<Base>
  /**
   * Puts into force what `prepare` makes of the base, together with its revision: both or neither. Nothing happens when it
   * makes nothing. It is asked again when somebody else was faster.
   * @returns the stamp of what was written
   */
  change(prepare: (base: Base) => Promise<Draft | undefined>): Promise<string | undefined>
}
