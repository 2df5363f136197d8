import { DEFAULT_ACTIVITY_RULES } from '../../src/domain/activity.ts'
import { defaultReplication } from '../../src/domain/replication.ts'
import type {
  CallLimits,
  GroupMember,
  GroupSpec,
  HubSettings,
  ItemOverride,
  Overrides,
  ServerSpec,
} from '../../src/domain/server-spec.ts'
import { FOR_EVERYBODY } from '../../src/domain/visibility.ts'
import type { Item, Listing } from '../../src/gateway/catalog/listing.ts'
import type { Capabilities, ServerHello } from '../../src/mcp/methods.ts'

export const CALL_LIMITS: CallLimits = {
  timeoutMs: 60_000,
  resetTimeoutOnProgress: true,
  maxTotalTimeoutMs: 0,
}

const NO_OVERRIDES: Overrides = { tools: new Map(), prompts: new Map(), resources: new Map() }

/** A server of which only what a test cares about need be said. */
export function serverSpec(name: string, parts: Partial<ServerSpec> = {}): ServerSpec {
  return {
    name,
    enabled: true,
    description: undefined,
    ...FOR_EVERYBODY,
    transport: { kind: 'stdio', command: name, args: [], env: {}, cwd: undefined },
    isolation: 'shared',
    startOnDemand: false,
    idleTimeoutMs: 0,
    call: CALL_LIMITS,
    overrides: NO_OVERRIDES,
    replication: defaultReplication(parts.isolation ?? 'shared'),
    ...parts,
  }
}

type OverrideInput = Record<string, Partial<ItemOverride>>

/** Overrides as an operator writes them: what is not said stays as the server has it. */
export function overrides(parts: Partial<Record<keyof Overrides, OverrideInput>>): Overrides {
  const read = (input: OverrideInput = {}) =>
    new Map(
      Object.entries(input).map(([key, { enabled = true, description }]) => [key, { enabled, description }]),
    )
  return { tools: read(parts.tools), prompts: read(parts.prompts), resources: read(parts.resources) }
}

/** A group of whole servers, or of members of which parts are said. */
export function group(name: string, ...members: (string | (Partial<GroupMember> & { server: string }))[]) {
  return {
    id: `id-of-${name}`,
    name,
    ...FOR_EVERYBODY,
    members: members.map((member) => ({
      alias: undefined,
      tools: 'all' as const,
      prompts: 'all' as const,
      resources: 'all' as const,
      ...(typeof member === 'string' ? { server: member } : member),
    })),
  } satisfies GroupSpec
}

export function hubSettings(
  servers: readonly ServerSpec[],
  parts: Partial<Omit<HubSettings, 'servers'>> = {},
): HubSettings {
  return {
    servers: new Map(servers.map((spec) => [spec.name, spec])),
    groups: [],
    keys: [],
    users: [],
    bearerAuth: true,
    bearerHeader: 'Authorization',
    nameSeparator: '-',
    globalEndpoint: true,
    groupsByName: true,
    bodyLimitBytes: 4 * 1024 * 1024,
    activity: DEFAULT_ACTIVITY_RULES,
    sessionTimeoutMs: 3_600_000,
    ...parts,
  }
}

export function serverHello(name = 'test', capabilities: Capabilities = {}): ServerHello {
  return { protocolVersion: '2025-11-25', capabilities, serverInfo: { name, version: '1.0.0' } }
}

interface ListingParts {
  readonly capabilities?: Capabilities
  readonly instructions?: string
  readonly tools?: readonly (string | Item)[]
  readonly prompts?: readonly (string | Item)[]
  readonly resources?: readonly (string | Item)[]
  readonly templates?: readonly (string | Item)[]
}

/** What a server offers; plain strings stand for items that have nothing but their name or URI. */
export function listing(parts: ListingParts = {}): Listing {
  const items = (key: string, list: readonly (string | Item)[] = []): Item[] =>
    list.map((item) => (typeof item === 'string' ? { [key]: item } : item))
  return {
    hello: {
      ...serverHello('test', parts.capabilities),
      ...(parts.instructions === undefined ? {} : { instructions: parts.instructions }),
    },
    tools: items('name', parts.tools),
    prompts: items('name', parts.prompts),
    resources: items('uri', parts.resources),
    templates: items('uriTemplate', parts.templates),
  }
}
