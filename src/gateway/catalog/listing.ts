import { isObject } from '../../mcp/json-rpc.ts'
import type { ServerHello } from '../../mcp/methods.ts'

/** A tool, prompt, resource or template, as its server described it. Kept whole: what we do not know passes through. */
export type Item = Readonly<Record<string, unknown>>

export const LIST_KINDS = ['tools', 'prompts', 'resources', 'templates'] as const
export type ListKind = (typeof LIST_KINDS)[number]

/** All that one server offers, as last read. */
export interface Listing {
  readonly hello: ServerHello
  readonly tools: readonly Item[]
  readonly prompts: readonly Item[]
  readonly resources: readonly Item[]
  readonly templates: readonly Item[]
}

/** How each list is asked for and answered (schema 2025-11-25), and which capability announces it. */
export const LISTS = {
  tools: { method: 'tools/list', member: 'tools', key: 'name', capability: 'tools' },
  prompts: { method: 'prompts/list', member: 'prompts', key: 'name', capability: 'prompts' },
  resources: { method: 'resources/list', member: 'resources', key: 'uri', capability: 'resources' },
  templates: {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    key: 'uriTemplate',
    capability: 'resources',
  },
} as const satisfies Record<ListKind, { method: string; member: string; key: string; capability: string }>

/** The name (or URI, or URI template) by which an item is called. */
export function keyOf(kind: ListKind, item: Item): string {
  return String(item[LISTS[kind].key])
}

/** Whether a server announced this list in `initialize`. */
export function offers(hello: ServerHello, kind: ListKind): boolean {
  return isObject(hello.capabilities[LISTS[kind].capability])
}

/** The items of a list result that can be used at all: objects with a non-empty key. */
export function usableItems(kind: ListKind, result: unknown): { items: Item[]; dropped: number } | undefined {
  const list = isObject(result) ? result[LISTS[kind].member] : undefined
  if (!Array.isArray(list)) return undefined
  const items = list.filter((item: unknown): item is Item => {
    if (!isObject(item)) return false
    const key = item[LISTS[kind].key]
    return typeof key === 'string' && key.length > 0
  })
  return { items, dropped: list.length - items.length }
}

/** A listing that came from outside (a file), or undefined when it is none. */
export function readListing(value: unknown): Listing | undefined {
  if (!isObject(value) || !isObject(value['hello'])) return undefined
  const { protocolVersion, capabilities, serverInfo, instructions } = value['hello']
  if (typeof protocolVersion !== 'string' || !isObject(capabilities) || !isObject(serverInfo))
    return undefined
  const { name, version } = serverInfo
  if (typeof name !== 'string') return undefined
  const lists = LIST_KINDS.map((kind) => usableItems(kind, { [LISTS[kind].member]: value[kind] })?.items)
  const [tools, prompts, resources, templates] = lists
  if (!tools || !prompts || !resources || !templates) return undefined
  const hello: ServerHello = {
    protocolVersion,
    capabilities,
    serverInfo: { ...serverInfo, name, version: String(version ?? '') },
    ...(typeof instructions === 'string' ? { instructions } : {}),
  }
  return { hello, tools, prompts, resources, templates }
}
