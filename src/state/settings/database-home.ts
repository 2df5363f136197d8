import { HubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import type { DocumentStore, RevisionStore } from './ports.ts'
import type { Base, Draft, Kept, SettingsHome } from './settings-home.ts'

export interface DatabaseHomeDeps {
  readonly clock: Clock
  readonly random: Random
  readonly documents: DocumentStore
  readonly revisions: RevisionStore
}

/** How often a change is made anew because another node was faster, and the longest wait before the second try, ms. */
const TRIES = 12
const WAIT_MS = 20

/** The settings document in a database that nodes share. */
export class DatabaseHome implements SettingsHome {
  readonly lookEveryMs = 1_000
  readonly name = 'the settings in the database'
  readonly #deps: DatabaseHomeDeps

  constructor(deps: DatabaseHomeDeps) {
    this.#deps = deps
  }

  async base(): Promise<Base> {
    const { documents, revisions } = this.#deps
    const stored = await documents.read()
    if (!stored) return { document: {}, latest: await revisions.latest() }
    // Not the latest: a revision that another node makes just now belongs to another document.
    return { document: stored.document, latest: await revisions.get(stored.revision) }
  }

  async read(known?: string): Promise<Kept | undefined> {
    const { documents } = this.#deps
    if (known !== undefined && String(await documents.currentRevision()) === known) return undefined
    const stored = await documents.read()
    return stored && { document: stored.document, text: undefined, stamp: String(stored.revision) }
  }

  async change(prepare: (base: Base) => Promise<Draft | undefined>): Promise<string | undefined> {
    const { documents, clock, random } = this.#deps
    for (let tries = 1; ; tries += 1) {
      const draft = await prepare(await this.base())
      if (!draft) return undefined
      try {
        await documents.write(draft.document, draft.revision)
        return String(draft.revision.number)
      } catch (error) {
        const faster = error instanceof HubError && error.code === 'settings.conflict'
        if (!faster || tries === TRIES) throw error
      }
      await sleep(clock, random.fraction() * WAIT_MS * tries)
    }
  }
}
