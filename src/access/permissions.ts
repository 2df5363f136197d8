import type { KeyRecord, UserRole } from '../domain/accounts.ts'
import { HubError } from '../domain/errors.ts'
import { FULL_SCOPE, KEY_GRANTS, type KeyGrant, type RestAccess } from '../domain/key-scope.ts'
import type { Principal } from '../domain/principal.ts'
import type { Shareable } from '../domain/visibility.ts'

/** Everything that a route can ask for. Nobody who logs in or has a key has `cluster:node`: see `NodeGate`. */
export type Permission =
  | 'servers:read'
  | 'servers:write'
  | 'servers:launch'
  | 'tools:call'
  | 'groups:read'
  | 'groups:write'
  | 'keys:own'
  | 'keys:manage'
  | 'users:manage'
  | 'settings:read'
  | 'settings:write'
  | 'usage:own'
  | 'usage:all'
  | 'logs:read'
  | 'cluster:read'
  | 'cluster:write'
  | 'cluster:node'
  | 'self'
  | 'public'

/** Who asks at the management API, as a verified credential says. */
export type Identity = {
  readonly username: string | undefined
  readonly keyId: string | undefined
  /** Through whose eyes servers and groups are seen; undefined sees all of them. */
  readonly viewer: string | undefined
  /** With whose rights tools are called. */
  readonly principal: Principal
} & (
  | { readonly kind: 'open' }
  | { readonly kind: 'key' }
  | { readonly kind: 'login'; readonly role: UserRole; readonly tokenHash: string }
)

/** On this machine, and nobody has made a key: names and states of servers and nodes. */
const OPEN: readonly Permission[] = ['public', 'servers:read', 'cluster:read']

const USER: readonly Permission[] = [
  'public',
  'self',
  'servers:read',
  'groups:read',
  'tools:call',
  'keys:own',
  'usage:own',
]

const ADMIN: readonly Permission[] = [
  ...USER,
  'servers:write',
  'servers:launch',
  'groups:write',
  'keys:manage',
  'users:manage',
  'settings:read',
  'settings:write',
  'usage:all',
  'logs:read',
  'cluster:read',
  'cluster:write',
]

/** A key that opens a part of the hub reads about that part, whatever else it says. */
const KEY_READS: readonly Permission[] = ['public', 'servers:read', 'groups:read', 'tools:call', 'usage:own']
const KEY_READS_ALL: readonly Permission[] = [
  ...KEY_READS,
  'settings:read',
  'usage:all',
  'logs:read',
  'cluster:read',
]
const KEY_CHANGES_ALL: readonly Permission[] = [
  ...KEY_READS_ALL,
  'servers:write',
  'groups:write',
  'keys:own',
  'keys:manage',
  'cluster:write',
]

/** What an identity may do. Whatever is not here it may not. */
export function permissionsOf(identity: Identity): ReadonlySet<Permission> {
  switch (identity.kind) {
    case 'open':
      return new Set(OPEN)
    case 'login':
      return new Set(identity.role === 'admin' ? ADMIN : USER)
    case 'key':
      return new Set(ofKey(identity.principal))
  }
}

function ofKey({ scope, viewer, rest, grants }: Principal): readonly (Permission | KeyGrant)[] {
  if (rest === 'none') return ['public']
  // What belongs to a user who is no admin, or opens a part only, must not reach beyond it.
  if (viewer !== undefined || scope.kind !== 'all') return KEY_READS
  if (rest !== 'admin') return KEY_READS_ALL
  // Whoever writes the whole document writes users and commands into it too.
  const all = KEY_GRANTS.every((grant) => grants.includes(grant))
  return [...KEY_CHANGES_ALL, ...grants, ...(all ? (['settings:write'] as const) : [])]
}

/** What a key is to be allowed. */
export interface KeyWish {
  readonly owner: string | undefined
  readonly rest: RestAccess
  readonly grants?: readonly KeyGrant[]
}

/**
 * Whether an identity, which may make keys, may make or change this one: nobody hands on what they do not have, and who is no
 * admin makes keys in their own name only.
 * @throws HubError `access.denied`
 */
export function checkKeyWish(identity: Identity, { owner, rest, grants = [] }: KeyWish): void {
  const own = permissionsOf(identity)
  const refuse = (what: string) =>
    new HubError('access.denied', `${subject(identity)} may not make a key ${what}.`, {
      cure: 'Ask an admin.',
    })
  if (!own.has('keys:manage')) {
    if (owner === undefined || owner !== identity.username) throw refuse('for anybody else')
    if (rest === 'admin') throw refuse('with "rest": "admin"')
  }
  for (const grant of grants) if (!own.has(grant)) throw refuse(`that is granted ${grant}`)
}

/** What bounds a key. A limit that is undefined is none. */
export type KeyBounds = Pick<KeyRecord, 'rest' | 'requestsPerMinute' | 'maxConcurrent'>

/**
 * Whether an identity, which may change this key, may give it these bounds: who does not manage keys may only tighten them, for
 * whoever does may have set them.
 * @throws HubError `access.denied`
 */
export function checkKeyBounds(identity: Identity, before: KeyBounds, after: KeyBounds): void {
  if (permissionsOf(identity).has('keys:manage')) return
  const refuse = (what: string) =>
    new HubError('access.denied', `${subject(identity)} may not raise ${what} of a key.`, {
      cure: 'Ask an admin.',
    })
  if (REST_ORDER.indexOf(after.rest) > REST_ORDER.indexOf(before.rest)) throw refuse('"rest"')
  for (const limit of ['requestsPerMinute', 'maxConcurrent'] as const)
    if ((after[limit] ?? Number.POSITIVE_INFINITY) > (before[limit] ?? Number.POSITIVE_INFINITY))
      throw refuse(`"${limit}"`)
}

const REST_ORDER: readonly RestAccess[] = ['none', 'read', 'admin']

/**
 * @param identity undefined for somebody who shows nothing
 * @throws HubError `access.unauthenticated`, `access.denied`
 */
export function authorize(identity: Identity | undefined, permission: Permission): void {
  if (permission === 'public') return
  if (!identity)
    throw new HubError('access.unauthenticated', 'This needs a login or a key.', {
      cure: 'Log in, or send "Authorization: Bearer <key>".',
    })
  if (!permissionsOf(identity).has(permission))
    throw new HubError(
      'access.denied',
      `${subject(identity)} may not do this: it needs the permission ${permission}.`,
      {
        data: { permission },
        cure: cureFor(identity, permission),
      },
    )
}

/** Whether an identity may change what belongs to somebody, given that it may change things of this kind at all. */
export function mayChange({ viewer }: Identity, { owner }: Pick<Shareable, 'owner'>): boolean {
  return viewer === undefined || (owner !== undefined && owner === viewer)
}

function subject(identity: Identity): string {
  if (identity.kind === 'login') return `The user ${JSON.stringify(identity.username)}`
  return identity.kind === 'key' ? 'This key' : 'Nobody without a login or a key'
}

function cureFor(identity: Identity, permission: Permission): string {
  if (identity.kind === 'login') return 'Ask an admin.'
  if (identity.kind === 'open') return 'Log in, or send "Authorization: Bearer <key>".'
  if (permission === 'servers:launch' || permission === 'users:manage')
    return `Log in as an admin, or use a key that has ${permission} among its "grants".`
  return 'Log in, or use a key whose "rest" and scope allow it.'
}

/** The rights with which somebody who has logged in calls tools. */
export function loginPrincipal(username: string, role: UserRole): Principal {
  return {
    id: `user:${username}`,
    scope: FULL_SCOPE,
    viewer: role === 'admin' ? undefined : username,
    keyId: undefined,
    username,
    rest: 'none',
    grants: [],
    limits: undefined,
  }
}
