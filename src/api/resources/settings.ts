import type { Permission } from '../../access/permissions.ts'
import { HubError } from '../../domain/errors.ts'
import type { RevisionSummary, SettingsEdit } from '../../domain/settings-revision.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import * as contract from '../contract/settings.ts'
import { changeAnswer, changeQuery, revisionChange } from '../contract/shared.ts'
import { actorOf } from '../identity.ts'
import type { SettingsDocument } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'
import { changed, changeSettings, requireMatch } from '../settings-change.ts'

/** The settings document as a whole, and its history. */
export const settingsRoutes: readonly Route[] = [
  route({
    name: 'settings.get',
    method: 'GET',
    path: '/api/settings',
    permission: 'settings:read',
    summary: 'The whole document; secrets are shown as ********',
    answer: contract.document,
    handle: async ({ services }) => {
      const { document, etag } = await services.settings.current()
      return { data: services.secrets.mask(document), etag }
    },
  }),
  route({
    name: 'settings.edit',
    method: 'PATCH',
    path: '/api/settings',
    permission: 'settings:write',
    summary: 'Change single places of the document that have no resource of their own',
    query: changeQuery,
    body: contract.edits,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'settings',
    handle: async (context) => {
      const edits = context.body.edits.map(({ path, value }) => ({ path, value }))
      for (const { path } of edits) requireOpenSection(path[0])
      requireRights(context, edits.map(pointerOf))
      return changed(context, await changeSettings(context, () => edits), 'The settings were changed.')
    },
  }),
  route({
    name: 'settings.system',
    method: 'PUT',
    path: '/api/system-config',
    permission: 'settings:write',
    summary: 'Change sections of systemConfig; those that are not named stay',
    query: changeQuery,
    body: contract.systemConfig,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'settings',
    handle: async (context) => {
      const outcome = await changeSettings(context, (document) => {
        const sections = Object.entries(merged(context, document, context.body))
        const edits = sections.map(([section, value]) => ({ path: ['systemConfig', section], value }))
        requireRights(context, edits.map(pointerOf))
        return edits
      })
      return changed(context, outcome, 'The settings were changed.')
    },
  }),
  route({
    name: 'settings.export',
    method: 'GET',
    path: '/api/mcp-settings/export',
    permission: 'settings:read',
    summary: 'The document as mcp_settings.json; secrets are shown as ********',
    shape: 'plain',
    answer: contract.document,
    handle: async ({ services }) => ({ plain: JSON.parse(await services.settings.export('masked')) }),
  }),
  route({
    name: 'revisions.list',
    method: 'GET',
    path: '/api/settings/revisions',
    permission: 'settings:read',
    summary: 'Who changed what, when and why; newest first',
    query: contract.revisionsQuery,
    answer: contract.revisions,
    handle: async ({ services, query: { before, limit } }) => {
      const items = await services.settings.list({ limit, ...(before === undefined ? {} : { before }) })
      const last = items.at(-1)
      const more = items.length === limit && last !== undefined && last.number > 1
      return { data: { items: items.map(summaryOf), ...(more ? { nextBefore: last.number } : {}) } }
    },
  }),
  route({
    name: 'revisions.get',
    method: 'GET',
    path: '/api/settings/revisions/:number',
    permission: 'settings:read',
    summary: 'One revision, with its document',
    params: contract.revisionParams,
    answer: contract.revision,
    handle: async ({ services, params }) => {
      const revision = await services.settings.show(params.number)
      return { data: { ...summaryOf(revision), document: revision.document } }
    },
  }),
  route({
    name: 'revisions.diff',
    method: 'GET',
    path: '/api/settings/revisions/:number/diff',
    permission: 'settings:read',
    summary: 'What leads from one revision to another',
    params: contract.revisionParams,
    query: contract.diffQuery,
    answer: revisionChange.array(),
    handle: async ({ services, params: { number }, query }) => {
      const from = query.from ?? number - 1
      if (from < 1) return { data: (await services.settings.show(number)).changes }
      return { data: await services.settings.diff(from, number) }
    },
  }),
  route({
    name: 'revisions.rollback',
    method: 'POST',
    path: '/api/settings/revisions/:number/rollback',
    permission: 'settings:write',
    summary: 'Make an old document the newest',
    params: contract.revisionParams,
    query: contract.rollbackQuery,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'settings:{number}',
    handle: rollBack,
  }),
]

/** What of the document is not changed place by place: each has a route with the checks that it needs. */
const OWN_ROUTES: Readonly<Record<string, string>> = {
  mcpServers: '/api/servers',
  groups: '/api/groups',
  bearerKeys: '/api/auth/keys',
  users: '/api/users',
}

/** @throws HubError `access.denied` */
function requireOpenSection(section: string | number | undefined): void {
  const other = Object.hasOwn(OWN_ROUTES, String(section)) ? OWN_ROUTES[String(section)] : undefined
  if (other === undefined) return
  throw new HubError('access.denied', `"${section}" cannot be changed place by place.`, {
    cure: `Use ${other}, or edit the settings file.`,
  })
}

/** Places that decide more than settings do, and what must be held beyond settings:write to change them. */
const GUARDED: readonly (readonly [pointer: string, permission: Permission])[] = [
  ['/mcpServers', 'servers:launch'],
  // Where packages come from is what the launchers run.
  ['/systemConfig/install', 'servers:launch'],
  // Whoever has the token of the cluster, or is its coordinator, starts programs on the nodes.
  ['/systemConfig/cluster', 'servers:launch'],
  ['/cluster', 'servers:launch'],
  ['/bearerKeys', 'keys:manage'],
  ['/systemConfig/routing', 'keys:manage'],
  ['/users', 'users:manage'],
]

/** @throws HubError `access.denied` */
function requireRights({ services, identity }: Context, pointers: readonly string[]): void {
  for (const [guarded, permission] of GUARDED)
    if (pointers.some((pointer) => overlap(pointer, guarded))) services.auth.authorize(identity, permission)
}

/** Whether one place is within the other. */
function overlap(a: string, b: string): boolean {
  return `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`)
}

function pointerOf({ path }: SettingsEdit): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

async function rollBack(context: Context<{ number: number }, Parameters<typeof changeSettings>[0]['query']>) {
  const { services, identity, params, query, ifMatch } = context
  const current = await services.settings.current()
  requireMatch(ifMatch, current)
  const changes = await services.settings.diff(current.number, params.number)
  requireRights(
    context,
    changes.map(({ path }) => path),
  )
  const outcome = await services.settings.rollback(params.number, {
    author: actorOf(identity),
    reason: query.reason ?? `Back to revision ${params.number}.`,
    // The rights were checked for the way from this revision, and no other.
    ifMatch: current.etag,
    dryRun: query.dryRun,
  })
  return changed(context, outcome, `The settings are those of revision ${params.number} again.`)
}

/** Sections of systemConfig as they are to be stored: members that are not given stay, masks are the stored values. */
function merged(
  { services }: Context,
  document: SettingsDocument,
  sections: SettingsDocument,
): SettingsDocument {
  const stored = isObject(document['systemConfig']) ? document['systemConfig'] : {}
  const complete = Object.entries(sections).map(([section, value]) => {
    const before = stored[section]
    return [section, isObject(value) && isObject(before) ? { ...before, ...value } : value]
  })
  const edited = { systemConfig: Object.fromEntries(complete) }
  const { systemConfig } = services.secrets.restore(edited, { systemConfig: stored })
  return isObject(systemConfig) ? systemConfig : {}
}

function summaryOf({ number, at, author, reason, checksum, changes }: RevisionSummary) {
  return { number, at, author, reason, checksum, changes }
}
