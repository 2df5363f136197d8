import type { HubSettings } from '../domain/server-spec.ts'
import type { ListKind } from '../gateway/catalog/listing.ts'
import { NOTIFICATION } from '../mcp/methods.ts'

const CHANGE_HINT: Readonly<Record<ListKind, string>> = {
  tools: NOTIFICATION.toolsChanged,
  prompts: NOTIFICATION.promptsChanged,
  resources: NOTIFICATION.resourcesChanged,
  templates: NOTIFICATION.resourcesChanged,
}

/** What clients are told when lists of these kinds have changed. */
export function hintsOf(kinds: readonly ListKind[]): ReadonlySet<string> {
  return new Set(kinds.map((kind) => CHANGE_HINT[kind]))
}

/** Whether clients see something else under `b` than under `a`. */
export function shownDiffers(a: HubSettings, b: HubSettings): boolean {
  return essence(a) !== essence(b)
}

/** What of the settings decides what clients see. */
function essence(settings: HubSettings): string {
  const plain = (_key: string, value: unknown) =>
    value instanceof Map || value instanceof Set ? [...value] : value
  const servers = [...settings.servers.values()].map(
    ({ name, enabled, overrides, owner, visibility, sharedWithUsers }) => ({
      name,
      enabled,
      overrides,
      sharing: [owner, visibility, sharedWithUsers],
    }),
  )
  return JSON.stringify([servers, settings.groups, settings.nameSeparator], plain)
}
