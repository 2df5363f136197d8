import type { EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import { type KeyScope, opensServer, openTools } from '../../domain/key-scope.ts'
import type { Rights } from '../../domain/principal.ts'
import type { GroupMember, GroupSpec, HubSettings, Selection, ServerSpec } from '../../domain/server-spec.ts'
import { mayView } from '../../domain/visibility.ts'

/** What an endpoint consists of, under the settings of the moment and the rights of who asks. */
export type EndpointScope =
  | { readonly kind: 'server'; readonly spec: ServerSpec; readonly member: ScopeMember }
  | { readonly kind: 'aggregate'; readonly title: string; readonly members: readonly ScopeMember[] }

export interface ScopeMember extends GroupMember {
  readonly spec: ServerSpec
}

/**
 * Resolves an endpoint's name: a group before a server of the same name. What the viewer may not see does not exist.
 * @throws HubError `endpoint.unknown` or `access.denied`
 */
export function resolveEndpoint(
  endpoint: EndpointName,
  settings: HubSettings,
  rights: Rights,
): EndpointScope {
  if (endpoint.kind === 'all') return allServers(settings, rights)
  const { name } = endpoint
  const { scope, viewer } = rights
  const isMeant = (group: GroupSpec) => group.id === name || (settings.groupsByName && group.name === name)
  const group =
    endpoint.kind === 'server'
      ? undefined
      : settings.groups.find((each) => isMeant(each) && mayView(viewer, each))
  if (group) return groupScope(group, name, settings, rights)
  const spec = settings.servers.get(name)
  // Before anything else: a key must not find out which servers exist that it does not open.
  if (!opensServer(scope, name)) throw denied(JSON.stringify(name))
  if (!spec || !mayView(viewer, spec)) throw unknownEndpoint(name, false)
  if (!spec.enabled) throw unknownEndpoint(name, true)
  return { kind: 'server', spec, member: narrowed(wholeServer(spec), scope) }
}

/** Whether somebody may know of the server and use it, at whatever endpoint. */
export function seesServer(spec: ServerSpec, { scope, viewer }: Rights): boolean {
  return opensServer(scope, spec.name) && mayView(viewer, spec)
}

export function wholeServer(spec: ServerSpec): ScopeMember {
  return { spec, server: spec.name, alias: undefined, tools: 'all', prompts: 'all', resources: 'all' }
}

/** Whether everything that the server can do is open, and not a choice of tools only. */
export function isWhole(member: ScopeMember): boolean {
  return member.tools === 'all' && member.prompts === 'all' && member.resources === 'all'
}

function allServers(settings: HubSettings, rights: Rights): EndpointScope {
  const { scope } = rights
  if (!settings.globalEndpoint)
    throw new HubError('access.denied', 'The endpoint over all servers is switched off.', {
      cure: 'Connect to /mcp/<group> or /mcp/<server>, or set systemConfig.routing.enableGlobalRoute to true.',
    })
  if (scope.kind === 'some' && scope.servers.size + scope.tools.size === 0)
    throw new HubError('access.denied', 'This key opens groups only, not the endpoint over all servers.', {
      cure: `Connect to ${[...scope.groups].map((group) => `/mcp/${group}`).join(' or ') || 'a group that the key names'}.`,
    })
  const members = [...settings.servers.values()]
    .filter((spec) => spec.enabled && seesServer(spec, rights))
    .map((spec) => narrowed(wholeServer(spec), scope))
  return { kind: 'aggregate', title: 'flotilla', members }
}

/** @param asked the name by which the group was asked for */
function groupScope(group: GroupSpec, asked: string, settings: HubSettings, rights: Rights): EndpointScope {
  const { scope, viewer } = rights
  const allowed =
    scope.kind === 'all' ||
    scope.groups.has(group.id) ||
    scope.groups.has(group.name) ||
    // Every server of the group must be open to the key; one alone would open what the others hide.
    (group.members.length > 0 && group.members.every((member) => opensServer(scope, member.server)))
  if (!allowed) throw denied(JSON.stringify(asked))
  const members = group.members.flatMap((member) => {
    const spec = settings.servers.get(member.server)
    return spec?.enabled && mayView(viewer, spec) ? [narrowed({ ...member, spec }, scope)] : []
  })
  return { kind: 'aggregate', title: `flotilla/${group.name}`, members }
}

/** The member as far as the key opens it: of a server of which it names tools, these and nothing else. */
function narrowed(member: ScopeMember, scope: KeyScope): ScopeMember {
  const tools = openTools(scope, member.server)
  if (tools === 'all') return member
  return { ...member, tools: both(member.tools, tools), prompts: NOTHING, resources: NOTHING }
}

const NOTHING: Selection = new Set()

function both(selection: Selection, tools: ReadonlySet<string>): Selection {
  return selection === 'all' ? tools : selection.intersection(tools)
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
