import { HubError } from '../../domain/errors.ts'
import type { Revision } from '../../domain/settings-revision.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Document } from '../secrets/secrets-in-document.ts'
import type { SettingsFileStore, StoredFile } from './file-store.ts'
import type { RevisionStore } from './ports.ts'
import { type Drafting, draftRevision } from './revision-draft.ts'
import type { Base, Draft, Kept, SettingsHome } from './settings-home.ts'

export interface FileHomeDeps extends Drafting {
  readonly file: SettingsFileStore
  readonly revisions: RevisionStore
  readonly clock: Clock
  /** What the document is as long as there is no file: the first change writes it there. */
  readonly whenMissing?: Document | undefined
}

/** How long a file must stay as it is before it counts as saved, ms. */
const SETTLE_MS = 100
/** How often a revision is made anew because somebody else has just made one. */
const TRIES = 5

/**
 * The settings document in a file, its history in a database. The file is written first. A crash before the revision is
 * written heals by itself: whatever the file says that the latest revision does not becomes a revision by `file`, as an edit
 * by hand does.
 */
export class FileHome implements SettingsHome {
  readonly lookEveryMs = 500
  readonly name: string
  readonly #deps: FileHomeDeps

  constructor(deps: FileHomeDeps) {
    this.name = deps.file.path
    this.#deps = deps
  }

  async base(): Promise<Base> {
    const { file } = this.#deps
    // Nobody writes a read-only file, so there is nothing to wait for; and no lock could be made.
    if (await file.whyReadOnly()) return this.#adopt(await file.read())
    return file.exclusively(({ stored }) => this.#adopt(stored))
  }

  async read(known?: string): Promise<Kept | undefined> {
    const { file } = this.#deps
    if (known === undefined) return this.#kept(await file.read())
    if ((await file.etag()) === known) return undefined
    await this.#settled()
    const stored = await file.read()
    if (!stored.exists) throw gone(this.name)
    return this.#kept(stored)
  }

  #kept({ document, text, etag, exists }: StoredFile): Kept {
    if (exists) return { document, text, stamp: etag }
    return { document: this.#deps.whenMissing ?? document, text: undefined, stamp: etag }
  }

  /** Waits until nobody is saving the file: until two looks at it agree. */
  async #settled(): Promise<void> {
    const { file, clock } = this.#deps
    for (let before = await file.etag(); ; ) {
      await sleep(clock, SETTLE_MS)
      const again = await file.etag()
      if (again === before) return
      before = again
    }
  }

  change(prepare: (base: Base) => Promise<Draft | undefined>): Promise<string | undefined> {
    const { file, revisions } = this.#deps
    return file.exclusively(async (locked) => {
      const draft = await prepare(await this.#adopt(locked.stored))
      if (!draft) return undefined
      const { etag } = await locked.write(draft.document)
      try {
        await revisions.append(draft.revision)
        return etag
      } catch (error) {
        await locked.undo()
        throw error
      }
    })
  }

  /** Makes a revision of what people wrote into the file. */
  async #adopt(stored: StoredFile): Promise<Base> {
    const { revisions, clock } = this.#deps
    const { document } = stored
    for (let tries = 1; ; tries += 1) {
      const latest = await revisions.latest()
      if (stored.text.trim() === '') {
        if (latest) throw gone(this.name)
        return { document: (stored.exists ? undefined : this.#deps.whenMissing) ?? document, latest }
      }
      const reason = { author: 'file', reason: undefined, at: clock.now() }
      const revision = draftRevision(latest, document, reason, this.#deps)
      if (!revision) return { document, latest }
      if (await this.#append(revision, tries)) return { document, latest: revision }
    }
  }

  async #append(revision: Revision, tries: number): Promise<boolean> {
    try {
      await this.#deps.revisions.append(revision)
      return true
    } catch (error) {
      if (error instanceof HubError && error.code === 'settings.conflict' && tries < TRIES) return false
      throw error
    }
  }
}

/** An empty file is more often one that was cut off than a wish to have no settings. */
function gone(path: string): HubError {
  return new HubError('settings.unreadable', `The settings file ${path} is missing or empty.`, {
    cure: 'Put it back (its backups are beside it), or write {} into it to begin anew.',
  })
}
