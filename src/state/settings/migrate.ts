import { isDeepStrictEqual } from 'node:util'
import { HubError } from '../../domain/errors.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { checksumOf, sameJson } from '../json/canonical.ts'
import { type Document, openReadable, sealSecrets } from '../secrets/secrets-in-document.ts'
import type { SettingsFileStore } from './file-store.ts'
import type { DocumentStore, RevisionStore } from './ports.ts'
import { type Drafting, documentOf, draftRevision } from './revision-draft.ts'
import type { SettingsChecker } from './settings-checker.ts'

/** Which store is in force, so that the next start knows. Kept in the database. */
export interface StoreChoice {
  get(): Promise<StoreInForce | undefined>
  set(choice: StoreInForce): Promise<void>
}

export interface StoreInForce {
  readonly store: 'file' | 'database'
  /** Whether a copy in the file is kept up to date beside the database, for a transition. */
  readonly dualWrite: boolean
}

/** Brings records that the document declares into their tables. Doing it again changes nothing. */
export interface RecordImporter {
  readonly name: string
  /** @param document with every secret open; returns how many of its records are in their table now */
  import(document: Document): Promise<number>
  /** How many the document declares. */
  declared(document: Document): number
}

export interface MigrationDeps extends Drafting {
  readonly file: SettingsFileStore
  readonly documents: DocumentStore
  readonly revisions: RevisionStore
  readonly choice: StoreChoice
  readonly checker: SettingsChecker
  readonly importers: readonly RecordImporter[]
  readonly clock: Clock
  readonly log: Logger
  /** What people call the database, such as `SQLite`. */
  readonly engine: string
}

export interface MigrationReport {
  /** Of the file as it was; undefined when it could not be written beside a read-only file. */
  readonly backup: string | undefined
  readonly revision: number
  /** Of the document in the database, secrets sealed. */
  readonly checksum: string
  readonly servers: number
  readonly groups: number
  /** By the name of the importer. */
  readonly imported: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
}

/**
 * Moves the settings from the file to the database, or back. Each step may be done again: a migration that was killed ends
 * right when it is run once more, and until its last step the file stays the store.
 */
export class SettingsMigration {
  readonly #deps: MigrationDeps

  constructor(deps: MigrationDeps) {
    this.#deps = deps
  }

  /**
   * Backup, import, check, and only then the database becomes the store.
   * @throws HubError `resource.exists` when it is the store already; `storage.invalid` when what arrived is not what left
   */
  async toDatabase({ dualWrite }: { readonly dualWrite: boolean }): Promise<MigrationReport> {
    const { file, choice, checker, log, engine } = this.#deps
    log.info({}, `Starting data migration from JSON to ${engine}...`)
    if ((await choice.get())?.store === 'database')
      throw new HubError('resource.exists', 'The settings are in the database already.', {
        cure: 'To import the file again, first run "flotilla migrate rollback", which writes the database to the file.',
      })
    const stored = await file.read()
    if (!stored.exists)
      throw new HubError('settings.unreadable', `There is no settings file ${file.path} to migrate.`)
    const { settings, warnings } = checker.interpret(stored.text, file.path, 'refused')
    const backup = await file.backUp()
    const revision = await this.#writeDocument(stored.document)
    const imported = await this.#importRecords(stored.document)
    const checksum = await this.#requireSame(stored.document, settings)
    await choice.set({ store: 'database', dualWrite })
    const report = {
      backup,
      revision,
      checksum,
      servers: settings.servers.size,
      groups: settings.groups.length,
      imported,
      warnings,
    }
    log.info({ ...report, warnings: warnings.length }, 'Data migration completed successfully')
    return report
  }

  /** Writes the database's document to the file and makes that the store again. @throws HubError as writing the file does */
  async rollback(): Promise<{ readonly revision: number; readonly checksum: string }> {
    const { file, documents, choice, log, box } = this.#deps
    const stored = await documents.read()
    if (!stored)
      throw new HubError('resource.missing', 'There are no settings in the database.', {
        cure: 'The file is the store; there is nothing to roll back.',
      })
    await this.#writeFile(stored.document)
    const wanted = checksumOf(openReadable(stored.document, box))
    if (checksumOf(openReadable((await file.read()).document, box)) !== wanted)
      throw new HubError(
        'storage.invalid',
        `The settings file ${file.path} does not say what the database says.`,
        {
          cure: 'Somebody may have changed it meanwhile: try again.',
        },
      )
    await choice.set({ store: 'file', dualWrite: false })
    log.info({ revision: stored.revision }, `The settings are in the file ${file.path} again`)
    return { revision: stored.revision, checksum: checksumOf(stored.document) }
  }

  /**
   * Brings the file up to date beside the database, for dual writing. Never rejects: the change is in the database, and the
   * next one brings the file along.
   */
  async mirror(document: Document): Promise<void> {
    try {
      await this.#writeFile(document)
    } catch (error) {
      this.#deps.log.error({ err: error }, 'the copy of the settings in the file is out of date')
    }
  }

  /** Makes the file say what `document` says; what stands open there and is the same stays open. */
  async #writeFile(document: Document): Promise<void> {
    const { file, box, variables } = this.#deps
    await file.exclusively(async (locked) => {
      const previous = locked.stored.document
      const target = sealSecrets(openReadable(document, box), box, { previous, keepOpen: true, variables })
      if (!locked.stored.exists || !sameJson(target, previous)) await locked.write(target)
    })
  }

  async #writeDocument(document: Document): Promise<number> {
    const { documents, revisions, clock, box } = this.#deps
    const latest = await revisions.latest()
    const stored = await documents.read()
    // An earlier run came as far as this.
    if (stored && sameOpen(stored.document, document, this.#deps) && stored.revision === latest?.number)
      return stored.revision
    const reason = { author: 'migration', reason: 'From the file to the database.', at: clock.now() }
    const sealed = sealSecrets(document, box, {
      previous: latest && documentOf(latest),
      variables: this.#deps.variables,
    })
    const revision = draftRevision(latest, sealed, reason, this.#deps, true)
    if (!revision) throw new HubError('internal', 'The migration made no revision.')
    await documents.write(sealed, revision)
    return revision.number
  }

  async #importRecords(document: Document): Promise<Record<string, number>> {
    const open = openReadable(document, this.#deps.box)
    const imported: Record<string, number> = {}
    for (const importer of this.#deps.importers) {
      const count = await importer.import(open)
      if (count !== importer.declared(open))
        throw differs(`${count} of ${importer.declared(open)} ${importer.name} have arrived`)
      imported[importer.name] = count
    }
    return imported
  }

  /** Reads back what the database has and compares: the content by checksum, the numbers, and what the hub makes of it. */
  async #requireSame(document: Document, settings: HubSettings): Promise<string> {
    const stored = await this.#deps.documents.read()
    if (!stored) throw differs('there is no document')
    if (!sameOpen(stored.document, document, this.#deps)) throw differs('its checksum is another')
    for (const part of ['mcpServers', 'groups', 'users', 'bearerKeys'])
      if (sizeOf(stored.document[part]) !== sizeOf(document[part]))
        throw differs(`the number of ${part} is another`)
    const text = JSON.stringify(stored.document, undefined, 2)
    const there = this.#deps.checker.interpret(text, 'the settings in the database').settings
    if (!isDeepStrictEqual(there, settings)) throw differs('the hub would run differently with it')
    return checksumOf(stored.document)
  }
}

function sameOpen(a: Document, b: Document, { box }: Drafting): boolean {
  return checksumOf(openReadable(a, box)) === checksumOf(openReadable(b, box))
}

function sizeOf(part: unknown): number {
  if (Array.isArray(part)) return part.length
  return isObject(part) ? Object.keys(part).length : 0
}

function differs(what: string): HubError {
  return new HubError(
    'storage.invalid',
    `The migration has stopped: the database is not what the file is: ${what}.`,
    {
      cure: 'The file stays the store. Look at the log, and run the migration again.',
    },
  )
}
