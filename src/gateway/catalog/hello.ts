import { VERSION } from '../../kernel/version.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import type { Capabilities, ServerHello } from '../../mcp/methods.ts'
import type { Listing } from './listing.ts'
import { type EndpointScope, isWhole, type ScopeMember } from './scope.ts'
import { type ListingOf, prefixOf } from './view.ts'

/** Longest instructions passed on per server, and for all together, in characters. */
const MAX_INSTRUCTIONS = { server: 4_000, all: 32_000 }

/**
 * What an endpoint says of itself in `initialize`: a server's endpoint what the server says; an aggregate the union of
 * what its servers can do.
 */
export function endpointHello(
  scope: EndpointScope,
  listingOf: ListingOf,
  protocolVersion: string,
): ServerHello | undefined {
  if (scope.kind === 'server') {
    const listing = listingOf(scope.spec.name)
    return listing && { ...asOpened(listing.hello, scope.member), protocolVersion }
  }
  const known = scope.members.flatMap((member) => {
    const listing = listingOf(member.server)
    return listing ? [{ prefix: prefixOf(member), listing }] : []
  })
  const instructions = joinInstructions(known)
  return {
    protocolVersion,
    capabilities: union(
      known.map(({ listing }) => listing),
      known.length < scope.members.length || scope.members.length === 0,
    ),
    serverInfo: { name: scope.title, version: VERSION },
    ...(instructions ? { instructions } : {}),
  }
}

/** What a server says of itself to somebody to whom perhaps only some of its tools are open. */
export function asOpened(hello: ServerHello, member: ScopeMember): ServerHello {
  if (isWhole(member)) return hello
  const { tools, logging } = hello.capabilities
  return { ...hello, capabilities: { ...(tools ? { tools } : {}), ...(logging ? { logging } : {}) } }
}

/** @param incomplete whether some servers are not known yet: then every list may still fill */
function union(listings: readonly Listing[], incomplete: boolean): Capabilities {
  const any = (capability: string) => listings.some(({ hello }) => isObject(hello.capabilities[capability]))
  const subscribe = listings.some(({ hello }) => {
    const resources = hello.capabilities['resources']
    return isObject(resources) && resources['subscribe'] === true
  })
  return {
    ...(incomplete || any('tools') ? { tools: { listChanged: true } } : {}),
    ...(incomplete || any('prompts') ? { prompts: { listChanged: true } } : {}),
    ...(incomplete || any('resources')
      ? { resources: { listChanged: true, ...(incomplete || subscribe ? { subscribe: true } : {}) } }
      : {}),
    ...(incomplete || any('logging') ? { logging: {} } : {}),
    ...(incomplete || any('completions') ? { completions: {} } : {}),
  }
}

function joinInstructions(known: readonly { prefix: string; listing: Listing }[]): string {
  return known
    .flatMap(({ prefix, listing: { hello } }) =>
      hello.instructions ? [`## ${prefix}\n\n${hello.instructions.slice(0, MAX_INSTRUCTIONS.server)}`] : [],
    )
    .join('\n\n')
    .slice(0, MAX_INSTRUCTIONS.all)
}
