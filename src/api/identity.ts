import type { Identity, Permission } from '../access/permissions.ts'
import { HubError } from '../domain/errors.ts'
import { opensServer, scopeFromJson } from '../domain/key-scope.ts'
import { STRANGER } from '../domain/principal.ts'
import { mayView, type Shareable } from '../domain/visibility.ts'
import { type Config, ownershipOf } from './document.ts'
import type { Authenticator } from './ports.ts'

/** Nobody in particular, on routes that are open to everybody: sees nothing that has a name. */
export const NOBODY: Identity = {
  kind: 'open',
  username: undefined,
  keyId: undefined,
  viewer: STRANGER.viewer,
  principal: { ...STRANGER, id: 'nobody', scope: scopeFromJson(undefined) },
}

/** A node of the cluster, which has shown the cluster token. */
export const CLUSTER_NODE: Identity = { ...NOBODY, kind: 'key', keyId: 'cluster' }

/** Who does something, as records and revisions name them. */
export function actorOf({ kind, username, keyId }: Identity): string {
  if (kind === 'key' && keyId !== undefined) return `key:${keyId}`
  return username ?? 'anonymous'
}

/** Whether an identity has a permission, where lacking it only means to be shown less. */
export function allows(auth: Authenticator, identity: Identity, permission: Permission): boolean {
  try {
    auth.authorize(identity, permission)
    return true
  } catch (error) {
    // Any other error is no statement about rights.
    if (error instanceof HubError && REFUSALS.has(error.code)) return false
    throw error
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['access.denied', 'access.unauthenticated'])

/** Whether an identity may see of the cluster what opens something: ids of sessions, addresses of nodes. */
export function showsSecrets(auth: Authenticator, identity: Identity): boolean {
  return allows(auth, identity, 'cluster:write')
}

/** Whether an identity may know of a server: its key opens it, and its user may see it. */
export function seesServer(
  { viewer, principal: { scope } }: Identity,
  name: string,
  server: Shareable,
): boolean {
  return opensServer(scope, name) && mayView(viewer, server)
}

export function seesGroup({ viewer, principal: { scope } }: Identity, group: Config): boolean {
  const opened =
    scope.kind === 'all' || scope.groups.has(String(group['name'])) || scope.groups.has(String(group['id']))
  return opened && mayView(viewer, ownershipOf(group))
}

/** What a key that opens some servers only can be let do: on these routes its scope decides what there is. */
const WITHIN_SCOPE: ReadonlySet<Permission> = new Set([
  'servers:read',
  'servers:write',
  'tools:call',
  'groups:read',
  'groups:write',
  'keys:own',
  'usage:own',
  'self',
  'public',
])

/** @throws HubError `access.denied` for a key that opens some servers only, on routes that know no servers */
export function requireScope(identity: Identity, permission: Permission): void {
  if (!WITHIN_SCOPE.has(permission)) requireFullScope(identity)
}

/** @throws HubError `access.denied` for a key that opens some servers only: it cannot make what opens more */
export function requireFullScope({ principal: { scope } }: Identity): void {
  if (scope.kind === 'all') return
  throw new HubError('access.denied', 'This key opens some servers only, which is not enough here.', {
    cure: 'Use a key with accessType "all", or log in.',
  })
}

/** @throws HubError `access.denied` unless whoever gives something away may do so */
export function requireOwner({ viewer }: Identity, owner: string | undefined, stored: Config): void {
  if (viewer === undefined || owner === viewer || owner === ownershipOf(stored).owner) return
  throw new HubError('access.denied', 'Only administrators may name another owner.', {
    cure: 'Leave "owner" out.',
  })
}
