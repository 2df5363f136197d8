import { FULL_SCOPE, type KeyScope, scopeFromJson, scopeToJson } from '../domain/key-scope.ts'

/** What a key opens, in the words of MCPHub's settings. */
interface ScopeInput {
  readonly accessType?: 'all' | 'groups' | 'servers' | 'tools' | 'custom' | undefined
  readonly allowedGroups?: readonly string[] | undefined
  readonly allowedServers?: readonly string[] | undefined
  readonly allowedTools?: Readonly<Record<string, readonly string[]>> | undefined
}

/** The scope that is meant, or undefined when nothing is said. Lists without a type count, as in the settings. */
export function scopeOf(input: ScopeInput): KeyScope | undefined {
  const { accessType, allowedGroups, allowedServers, allowedTools } = input
  const listed = allowedGroups ?? allowedServers ?? allowedTools
  const type = accessType ?? (listed ? 'custom' : undefined)
  if (type === undefined) return undefined
  if (type === 'all') return FULL_SCOPE
  const counts = (kind: typeof type) => type === kind || type === 'custom'
  return scopeFromJson({
    kind: 'some',
    groups: counts('groups') ? allowedGroups : [],
    servers: counts('servers') ? allowedServers : [],
    tools: counts('tools') ? allowedTools : {},
  })
}

/** A scope in the same words. */
export function describeScope(scope: KeyScope) {
  const json = scopeToJson(scope)
  if (json.kind === 'all')
    return { accessType: 'all' as const, allowedGroups: [], allowedServers: [], allowedTools: {} }
  const { groups, servers, tools } = json
  return {
    accessType: 'custom' as const,
    allowedGroups: groups,
    allowedServers: servers,
    allowedTools: tools,
  }
}
