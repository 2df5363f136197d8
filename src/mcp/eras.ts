/**
 * The revisions of the 2025 era and what each of them brings. Nobody outside `mcp/` compares revision strings: ask here.
 * Sources: the changelogs of https://modelcontextprotocol.io/specification.
 */
const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const
export type Revision = (typeof REVISIONS)[number]

export const LATEST_2025: Revision = '2025-11-25'

export function isSupportedRevision(value: unknown): value is Revision {
  return REVISIONS.some((revision) => revision === value)
}

export function supportedRevisions(): readonly string[] {
  return REVISIONS
}

/** The revision to answer `initialize` with: the client's if known, else our newest (lifecycle, "Version Negotiation"). */
export function negotiate(requested: unknown): Revision {
  return isSupportedRevision(requested) ? requested : LATEST_2025
}

/** JSON-RPC batches came with 2025-03-26 and went with 2025-06-18. */
export function allowsBatches(revision: Revision): boolean {
  return revision === '2025-03-26' || revision === '2024-11-05'
}

/** Since 2025-11-25 a stream starts with an event that has an id and no data, so that it can be resumed from its start. */
export function primesStreams(revision: Revision): boolean {
  return revision >= '2025-11-25'
}
