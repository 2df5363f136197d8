/** Which endpoints and tools a key opens. */
export type KeyScope =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'some'
      /** By name or id. */
      readonly groups: ReadonlySet<string>
      readonly servers: ReadonlySet<string>
      /**
       * Servers of which the key opens these tools (the server's own names) and nothing else, wherever it meets them: a
       * server that stands here is narrowed even if `servers` or a group has it too.
       */
      readonly tools: ReadonlyMap<string, ReadonlySet<string>>
    }

/** What a key may do at the management API. */
export type RestAccess = 'none' | 'read' | 'admin'

/** What not even `rest: admin` includes, and a key must be given by name. */
export type KeyGrant = 'servers:launch' | 'users:manage'

export const KEY_GRANTS: readonly KeyGrant[] = ['servers:launch', 'users:manage']

export const FULL_SCOPE: KeyScope = { kind: 'all' }

/** Whether the key opens the server by its name, whole or in part. */
export function opensServer(scope: KeyScope, server: string): boolean {
  return scope.kind === 'all' || scope.servers.has(server) || scope.tools.has(server)
}

/** The only tools of the server that the key opens; `all` when it is not narrowed. */
export function openTools(scope: KeyScope, server: string): 'all' | ReadonlySet<string> {
  return (scope.kind === 'some' && scope.tools.get(server)) || 'all'
}

export function sameScope(a: KeyScope, b: KeyScope): boolean {
  if (a === b) return true
  if (a.kind === 'all' || b.kind === 'all') return a.kind === b.kind
  return (
    sameSet(a.groups, b.groups) &&
    sameSet(a.servers, b.servers) &&
    a.tools.size === b.tools.size &&
    [...a.tools].every(([server, tools]) => sameSet(tools, b.tools.get(server)))
  )
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string> | undefined): boolean {
  return b !== undefined && a.symmetricDifference(b).size === 0
}

/** A scope as JSON has it, in stores and at the management API. */
export type KeyScopeJson =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'some'
      readonly groups: readonly string[]
      readonly servers: readonly string[]
      readonly tools: Readonly<Record<string, readonly string[]>>
    }

/** Equal scopes give equal JSON, in whatever order they were written. */
export function scopeToJson(scope: KeyScope): KeyScopeJson {
  if (scope.kind === 'all') return { kind: 'all' }
  const tools = [...scope.tools].map(([server, names]) => [server, [...names].sort()] as const)
  return {
    kind: 'some',
    groups: [...scope.groups].sort(),
    servers: [...scope.servers].sort(),
    tools: Object.fromEntries(tools.sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

/** Whatever is no scope opens nothing. */
export function scopeFromJson(value: unknown): KeyScope {
  if (typeof value !== 'object' || value === null) return nothing()
  const { kind, groups, servers, tools } = value as Record<string, unknown>
  if (kind === 'all') return FULL_SCOPE
  if (kind !== 'some') return nothing()
  const perServer = typeof tools === 'object' && tools !== null ? Object.entries(tools) : []
  return {
    kind: 'some',
    groups: texts(groups),
    servers: texts(servers),
    tools: new Map(perServer.map(([server, names]: [string, unknown]) => [server, texts(names)])),
  }
}

function nothing(): KeyScope {
  return { kind: 'some', groups: new Set(), servers: new Set(), tools: new Map() }
}

function texts(value: unknown): Set<string> {
  return new Set(Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [])
}
