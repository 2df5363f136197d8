import type { ItemOverride, Selection, ServerSpec } from '../../domain/server-spec.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { type TemplateMatcher, templateMatcher } from '../../mcp/uri-template.ts'
import { type Item, keyOf, type Listing, type ListKind } from './listing.ts'
import { exposedName, secondName } from './naming.ts'
import type { EndpointScope, ScopeMember } from './scope.ts'

/** Where an exposed name leads. */
export interface Target {
  readonly spec: ServerSpec
  /** The server's own name for it. */
  readonly original: string
}

/** What an endpoint shows: the lists as clients get them, and the way back from each name to its server. */
export interface View {
  readonly lists: Readonly<Record<ListKind, readonly Item[]>>
  readonly tools: ReadonlyMap<string, Target>
  readonly prompts: ReadonlyMap<string, Target>
  /** By URI. */
  readonly resources: ReadonlyMap<string, Target>
  readonly templates: readonly TemplateTarget[]
  /** The servers behind it, by name. */
  readonly servers: ReadonlyMap<string, ScopeMember>
  /** Clashes and other things an operator should know, as sentences. */
  readonly warnings: readonly string[]
}

export interface TemplateTarget {
  readonly matcher: TemplateMatcher
  readonly target: Target
}

export type ListingOf = (server: string) => Listing | undefined

/** Merges what the servers of a scope offer. Servers whose lists are not known yet are left out. */
export function buildView(scope: EndpointScope, listingOf: ListingOf, separator: string): View {
  const builder = new ViewBuilder()
  if (scope.kind === 'server') {
    const listing = listingOf(scope.spec.name)
    const { member } = scope
    builder.servers.set(member.server, member)
    if (listing) builder.add(member, listing, (name) => name)
  } else {
    for (const member of scope.members) {
      builder.servers.set(member.server, member)
      const listing = listingOf(member.server)
      if (listing) builder.add(member, listing, (name) => exposedName(prefixOf(member), separator, name))
    }
  }
  return builder.view()
}

/** What stands before the separator: the group's alias for the server, else its name. */
export function prefixOf(member: ScopeMember): string {
  return member.alias ?? member.server
}

class ViewBuilder {
  readonly servers = new Map<string, ScopeMember>()
  readonly #lists: Record<ListKind, Item[]> = { tools: [], prompts: [], resources: [], templates: [] }
  readonly #tools = new Map<string, Target>()
  readonly #prompts = new Map<string, Target>()
  readonly #resources = new Map<string, Target>()
  readonly #templates: TemplateTarget[] = []
  readonly #warnings: string[] = []

  add(member: ScopeMember, listing: Listing, rename: (name: string) => string): void {
    this.#addNamed('tools', this.#tools, member, listing.tools, rename)
    this.#addNamed('prompts', this.#prompts, member, listing.prompts, rename)
    for (const item of chosen('resources', member, listing.resources)) this.#addResource(member, item)
    for (const item of chosen('templates', member, listing.templates)) {
      const template = keyOf('templates', item)
      this.#templates.push({
        matcher: templateMatcher(template),
        target: { spec: member.spec, original: template },
      })
      this.#lists.templates.push(item)
    }
  }

  view(): View {
    return {
      lists: this.#lists,
      tools: this.#tools,
      prompts: this.#prompts,
      resources: this.#resources,
      templates: this.#templates,
      servers: this.servers,
      warnings: this.#warnings,
    }
  }

  #addNamed(
    kind: 'tools' | 'prompts',
    map: Map<string, Target>,
    member: ScopeMember,
    items: readonly Item[],
    rename: (name: string) => string,
  ): void {
    for (const item of chosen(kind, member, items)) {
      const original = keyOf(kind, item)
      let name = rename(original)
      const rival = map.get(name)
      if (rival) {
        if (rival.spec === member.spec && rival.original === original) {
          this.#warnings.push(
            `Server "${member.server}" lists ${kind} "${original}" twice; the first is kept.`,
          )
          continue
        }
        const taken = name
        while (map.has(name)) name = secondName(name, member.server, original)
        this.#warnings.push(
          `The name "${taken}" is claimed by "${rival.original}" of server "${rival.spec.name}" and by "${original}" of ` +
            `server "${member.server}"; the latter is reached as "${name}". An alias in a group or another nameSeparator avoids this.`,
        )
      }
      map.set(name, { spec: member.spec, original })
      this.#lists[kind].push(name === original ? item : { ...item, name })
    }
  }

  #addResource(member: ScopeMember, item: Item): void {
    const uri = keyOf('resources', item)
    const rival = this.#resources.get(uri)
    if (rival?.spec === member.spec) {
      this.#warnings.push(`Server "${member.server}" lists the resource ${uri} twice; the first is kept.`)
      return
    }
    if (rival) {
      this.#warnings.push(
        `The resource ${uri} is listed by servers "${rival.spec.name}" and "${member.server}"; here it is the former's, ` +
          `the latter's is read at /mcp/${member.server}.`,
      )
      return
    }
    this.#resources.set(uri, { spec: member.spec, original: uri })
    this.#lists.resources.push(item)
  }
}

/** The items that group and overrides let through, with the operator's descriptions in place. */
export function chosen(kind: ListKind, member: ScopeMember, items: readonly Item[]): Item[] {
  const overrides = kind === 'templates' ? member.spec.overrides.resources : member.spec.overrides[kind]
  const selection = kind === 'templates' ? member.resources : member[kind]
  return items.flatMap((item) => {
    const key = keyOf(kind, item)
    if (!selects(selection, key)) return []
    const override = overrides.get(key)
    if (override && !override.enabled) return []
    return [describe(item, override)]
  })
}

function selects(selection: Selection, key: string): boolean {
  return selection === 'all' || selection.has(key)
}

function describe(item: Item, override: ItemOverride | undefined): Item {
  return override?.description === undefined ? item : { ...item, description: override.description }
}

/**
 * The server that owns `uri`: the one that lists it, else the one whose template fits most closely, else the one that
 * lists something of the same scheme (resource links in tool results need not be listed). What overrides or a group hide,
 * nobody owns.
 */
export function ownerOfUri(view: View, uri: string): Target | undefined {
  const listed = view.resources.get(uri)
  if (listed) return listed
  const visible = ({ spec }: Target, fromTemplate: boolean): boolean => {
    if (isHidden(spec, uri)) return false
    // A group that names its resources one by one shows these, and what its templates give.
    return fromTemplate || view.servers.get(spec.name)?.resources === 'all'
  }
  let best: TemplateTarget | undefined
  for (const candidate of view.templates) {
    if (best && best.matcher.literalLength >= candidate.matcher.literalLength) continue
    if (candidate.matcher.matches(uri) && visible(candidate.target, true)) best = candidate
  }
  if (best) return { spec: best.target.spec, original: uri }
  const scheme = schemeOf(uri)
  for (const [other, target] of view.resources) {
    if (schemeOf(other) === scheme && visible(target, false)) return { spec: target.spec, original: uri }
  }
  return undefined
}

/** Whether the operator has disabled the resource, or a template that it could come from. */
export function isHidden(spec: ServerSpec, uri: string): boolean {
  for (const [key, override] of spec.overrides.resources)
    if (!override.enabled && (key === uri || (key.includes('{') && templateMatcher(key).matches(uri))))
      return true
  return false
}

function schemeOf(uri: string): string {
  return uri.slice(0, uri.indexOf(':') + 1)
}

/** Whether `hello` announces a nested flag such as resources.subscribe. */
export function announces(listing: Listing, capability: string, flag?: string): boolean {
  const found = listing.hello.capabilities[capability]
  if (flag === undefined) return isObject(found)
  return isObject(found) && found[flag] === true
}
