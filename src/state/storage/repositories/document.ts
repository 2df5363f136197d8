import type { Insertable } from 'kysely'
import { HubError } from '../../../domain/errors.ts'
import type { Revision } from '../../../domain/settings-revision.ts'
import { isObject } from '../../../mcp/json-rpc.ts'
import type { DocumentStore } from '../../settings/ports.ts'
import type { Database } from '../database.ts'
import type { GroupsTable, SectionsTable, ServersTable, Trx } from '../schema.ts'
import { storable, WIDTHS } from '../texts.ts'
import { appendRevision } from './revisions.ts'

type Json = Record<string, unknown>

/** The one row of `settings_document`. */
const IN_FORCE = 1

/**
 * The settings document in the database: servers and groups in tables of their own, every other top-level key in one row. The order of
 * keys, servers and groups comes back as it was.
 */
export class SettingsDocuments implements DocumentStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  read(): Promise<{ readonly revision: number; readonly document: Json } | undefined> {
    return this.#database.snapshot(async (trx) => {
      const state = await trx.selectFrom('settings_document').select('revision').executeTakeFirst()
      if (!state) return undefined
      const document: [string, unknown][] = []
      const sections = await trx.selectFrom('settings_sections').selectAll().orderBy('position').execute()
      for (const { name, value } of sections)
        document.push([name, value === null ? await readTable(trx, name) : JSON.parse(value)])
      return { revision: state.revision, document: Object.fromEntries(document) }
    })
  }

  async currentRevision(): Promise<number | undefined> {
    const state = await this.#database.read((db) =>
      db.selectFrom('settings_document').select('revision').executeTakeFirst(),
    )
    return state?.revision
  }

  /** The latest revision of the history counts, whatever store it was for. @throws HubError `settings.conflict` */
  async write(document: Json, revision: Revision): Promise<void> {
    const sections = sectionsOf(document)
    const servers = isServers(document['mcpServers']) ? document['mcpServers'] : {}
    const groups = isGroups(document['groups']) ? document['groups'] : []
    const serverRows = Object.entries(servers).map(([name, config], position) =>
      serverRow(name, config, position, revision.at),
    )
    const groupRows = groups.map(groupRow)
    refuseTwins(groupRows)
    await this.#database.write(['settings'], async (trx) => {
      await appendRevision(trx, revision)
      await trx.deleteFrom('settings_sections').execute()
      if (sections.length > 0) await trx.insertInto('settings_sections').values(sections).execute()
      await writeServers(trx, serverRows)
      await trx.deleteFrom('server_groups').execute()
      for (const row of groupRows) await trx.insertInto('server_groups').values(row).execute()
      await trx.deleteFrom('settings_document').execute()
      await trx.insertInto('settings_document').values({ id: IN_FORCE, revision: revision.number }).execute()
    })
  }
}

async function readTable(trx: Trx, section: string): Promise<unknown> {
  if (section === 'mcpServers') {
    const rows = await trx.selectFrom('mcp_servers').select(['name', 'config']).orderBy('position').execute()
    return Object.fromEntries(rows.map(({ name, config }) => [name, JSON.parse(config) as unknown]))
  }
  const rows = await trx.selectFrom('server_groups').select('config').orderBy('position').execute()
  return rows.map(({ config }) => JSON.parse(config) as unknown)
}

/** What `mcpServers` or `groups` holds when it is not what it should be stays a section like any other. */
function sectionsOf(document: Json): Insertable<SectionsTable>[] {
  return Object.entries(document)
    .filter(([, value]) => value !== undefined)
    .map(([name, value], position) => {
      const elsewhere = (name === 'mcpServers' && isServers(value)) || (name === 'groups' && isGroups(value))
      return {
        name: storable('name of a settings section', name, WIDTHS.section),
        position,
        value: elsewhere ? null : JSON.stringify(value),
      }
    })
}

/** Servers that did not change keep their row, and with it the time of their last change. */
async function writeServers(trx: Trx, rows: readonly Insertable<ServersTable>[]): Promise<void> {
  const stored = await trx.selectFrom('mcp_servers').select(['name', 'config', 'position']).execute()
  const before = new Map(stored.map((row) => [row.name, row]))
  const names = new Set(rows.map(({ name }) => name))
  for (const { name } of stored)
    if (!names.has(name)) await trx.deleteFrom('mcp_servers').where('name', '=', name).execute()
  for (const row of rows) {
    const known = before.get(row.name)
    if (!known) await trx.insertInto('mcp_servers').values(row).execute()
    else if (known.config !== row.config || known.position !== row.position) {
      const { created_at: _, updated_at, ...changed } = row
      const at = known.config === row.config ? {} : { updated_at }
      await trx
        .updateTable('mcp_servers')
        .set({ ...changed, ...at })
        .where('name', '=', row.name)
        .execute()
    }
  }
}

function serverRow(name: string, config: Json, position: number, at: number): Insertable<ServersTable> {
  const { type, command, args, url, enabled, disabled, owner, visibility } = config
  return {
    name: storable('name of a server', name, WIDTHS.serverName),
    type: shortText(type, 50) ?? (typeof url === 'string' ? 'auto' : 'stdio'),
    command: asText(command),
    args: args === undefined ? null : JSON.stringify(args),
    url: asText(url),
    enabled: enabled !== false && disabled !== true,
    owner: shortText(owner, WIDTHS.username),
    created_at: at,
    updated_at: at,
    position,
    visibility: shortText(visibility, 20),
    config: JSON.stringify(config),
  }
}

function groupRow(config: Json & { readonly name: string }, position: number): Insertable<GroupsTable> {
  const { id, name, owner, visibility } = config
  return {
    id: storable('id of a group', typeof id === 'string' ? id : name, WIDTHS.groupName),
    name: storable('name of a group', name, WIDTHS.groupName),
    owner: shortText(owner, WIDTHS.username),
    visibility: shortText(visibility, 20),
    position,
    config: JSON.stringify(config),
  }
}

function refuseTwins(groups: readonly Insertable<GroupsTable>[]): void {
  for (const property of ['id', 'name'] as const) {
    const seen = new Set<string>()
    for (const group of groups) {
      if (seen.has(group[property]))
        throw new HubError('settings.invalid', `Two groups have the ${property} "${group[property]}".`, {
          cure: 'Rename one of them.',
        })
      seen.add(group[property])
    }
  }
}

/** The copies beside `config` are for people: what does not fit there is left out, and nothing is lost. */
function shortText(value: unknown, width: number): string | null {
  const text = asText(value)
  return text !== null && text.length <= width ? text : null
}

function asText(value: unknown): string | null {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed() ? value : null
}

function isServers(value: unknown): value is Record<string, Json> {
  return isObject(value) && Object.values(value).every(isObject)
}

function isGroups(value: unknown): value is (Json & { readonly name: string })[] {
  return Array.isArray(value) && value.every((group) => isObject(group) && typeof group['name'] === 'string')
}
