import { HubError } from '../../domain/errors.ts'
import { isObject, jsonBytes } from '../../mcp/json-rpc.ts'
import type { CallTimes, Upstream } from '../../upstream/upstream.ts'
import { type Item, LIST_KINDS, LISTS, type Listing, type ListKind, offers, usableItems } from './listing.ts'

/** More than any real server has; a server that pages on for ever is cut off here. */
export const LIST_LIMITS = { pages: 1_000, items: 100_000 }

export interface ReadResult {
  readonly listing: Listing
  /** What was wrong with the lists, as sentences for the operator. */
  readonly complaints: readonly string[]
}

/**
 * Every page of every list that the server announced. A list that cannot be read keeps what `previous` has.
 * @throws HubError only when the upstream is lost
 */
export async function readLists(
  upstream: Upstream,
  limits: CallTimes,
  kinds: readonly ListKind[] = LIST_KINDS,
  previous?: Listing,
): Promise<ReadResult> {
  const complaints: string[] = []
  const lists: Record<ListKind, readonly Item[]> = {
    tools: previous?.tools ?? [],
    prompts: previous?.prompts ?? [],
    resources: previous?.resources ?? [],
    templates: previous?.templates ?? [],
  }
  for (const kind of kinds) {
    if (!offers(upstream.hello, kind)) {
      lists[kind] = []
      continue
    }
    try {
      lists[kind] = await readList(upstream, kind, limits, complaints)
    } catch (error) {
      if (!(error instanceof HubError) || error.code === 'upstream.lost') throw error
      complaints.push(error.message)
    }
  }
  return { listing: { hello: upstream.hello, ...lists }, complaints }
}

async function readList(
  upstream: Upstream,
  kind: ListKind,
  limits: CallTimes,
  complaints: string[],
): Promise<Item[]> {
  const { method } = LISTS[kind]
  const all: Item[] = []
  const seen = new Set<string>()
  let cursor: string | undefined
  for (let page = 0; page < LIST_LIMITS.pages; page += 1) {
    const params = cursor === undefined ? undefined : jsonBytes({ cursor })
    const answer = await upstream.request({ method, params, limits }).answer
    if (answer.kind === 'error') {
      // Many servers announce resources and then know no templates: that is an empty list, not a fault.
      if (answer.error.code === METHOD_NOT_FOUND) return all
      throw new HubError('upstream.rejected', `${method} was refused: ${answer.error.message}`)
    }
    const usable = usableItems(kind, answer.result)
    if (!usable)
      throw new HubError('upstream.invalid', `The answer to ${method} holds no list "${LISTS[kind].member}".`)
    if (usable.dropped > 0)
      complaints.push(`${method}: ${usable.dropped} items without a usable ${LISTS[kind].key} were left out.`)
    all.push(...usable.items)
    cursor = nextCursor(answer.result)
    if (cursor === undefined) return all
    if (seen.has(cursor) || all.length > LIST_LIMITS.items) break
    seen.add(cursor)
  }
  complaints.push(`${method} does not end; the first ${all.length} items are kept.`)
  return all
}

const METHOD_NOT_FOUND = -32601

function nextCursor(result: unknown): string | undefined {
  const cursor = isObject(result) ? result['nextCursor'] : undefined
  return typeof cursor === 'string' ? cursor : undefined
}
