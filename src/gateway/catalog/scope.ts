import type { EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import type { GroupMember, GroupSpec, HubSettings, KeyScope, ServerSpec } from '../../domain/server-spec.ts'

/** What an endpoint consists of, under the settings of the moment and the rights of who asks. */
export type EndpointScope =
  | { readonly kind: 'server'; readonly spec: ServerSpec }
  | { readonly kind: 'aggregate'; readonly title: string; readonly members: readonly ScopeMember[] }

export interface ScopeMember extends GroupMember {
  readonly spec: ServerSpec
}

/**
 * Resolves an endpoint's name: a group before a server of the same name.
 * @throws HubError `endpoint.unknown` or `access.denied`
 */
export function resolveEndpoint(
  endpoint: EndpointName,
  settings: HubSettings,
  scope: KeyScope,
): EndpointScope {
  if (endpoint.kind === 'all') return allServers(settings, scope)
  const { name } = endpoint
  const group = settings.groups.find(
    (each) => each.id === name || (settings.groupsByName && each.name === name),
  )
  if (group) return groupScope(group, name, settings, scope)
  const spec = settings.servers.get(name)
  // Before anything else: a key must not find out which servers exist that it does not open.
  if (scope.kind === 'some' && !scope.servers.has(name)) throw denied(JSON.stringify(name))
  if (!spec?.enabled) throw unknownEndpoint(name, spec !== undefined)
  return { kind: 'server', spec }
}

function allServers(settings: HubSettings, scope: KeyScope): EndpointScope {
  if (!settings.globalEndpoint)
    throw new HubError('access.denied', 'The endpoint over all servers is switched off.', {
      cure: 'Connect to /mcp/<group> or /mcp/<server>, or set systemConfig.routing.enableGlobalRoute to true.',
    })
  if (scope.kind === 'some' && scope.servers.size === 0)
    throw new HubError('access.denied', 'This key opens groups only, not the endpoint over all servers.', {
      cure: `Connect to ${[...scope.groups].map((group) => `/mcp/${group}`).join(' or ') || 'a group that the key names'}.`,
    })
  const members = [...settings.servers.values()]
    .filter((spec) => spec.enabled && (scope.kind === 'all' || scope.servers.has(spec.name)))
    .map((spec) => ({ ...EVERYTHING, server: spec.name, spec }))
  return { kind: 'aggregate', title: 'flotilla', members }
}

const EVERYTHING = { alias: undefined, tools: 'all', prompts: 'all', resources: 'all' } as const

/** @param asked the name by which the group was asked for */
function groupScope(group: GroupSpec, asked: string, settings: HubSettings, scope: KeyScope): EndpointScope {
  const allowed =
    scope.kind === 'all' ||
    scope.groups.has(group.id) ||
    scope.groups.has(group.name) ||
    // Every server of the group must be open to the key; one alone would open what the others hide.
    (group.members.length > 0 && group.members.every((member) => scope.servers.has(member.server)))
  if (!allowed) throw denied(JSON.stringify(asked))
  const members = group.members.flatMap((member) => {
    const spec = settings.servers.get(member.server)
    return spec?.enabled ? [{ ...member, spec }] : []
  })
  return { kind: 'aggregate', title: `flotilla/${group.name}`, members }
}

function unknownEndpoint(name: string, disabled: boolean): HubError {
  return new HubError(
    'endpoint.unknown',
    `There is no group or server "${name}"${disabled ? ' that is enabled' : ''}.`,
    {
      data: { endpoint: name },
      cure: disabled
        ? 'Enable it in the settings.'
        : 'Check the name after /mcp/, or connect to /mcp, which shows all servers.',
    },
  )
}

function denied(what: string): HubError {
  return new HubError('access.denied', `This key does not open ${what}.`, {
    cure: 'Use a key whose scope names it.',
  })
}
