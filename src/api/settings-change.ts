import { HubError } from '../domain/errors.ts'
import type { SettingsEdit } from '../domain/settings-revision.ts'
import { actorOf } from './identity.ts'
import type { CurrentSettings, SettingsDocument, SettingsOutcome } from './ports.ts'
import type { Context, Success } from './route.ts'

/** How a change is to be made, as every route that makes one lets its clients say. */
export interface ChangeQuery {
  readonly dryRun: boolean
  readonly reason?: string | undefined
}

type Plan = (document: SettingsDocument) => readonly SettingsEdit[]

/** As often as others may come in between before one is told to try again. */
const MOST_TRIES = 3

/**
 * Changes the settings by what `plan` makes of the document. The plan holds for exactly the revision that it has seen:
 * places in lists move. When somebody else was faster, and the client has not named a revision, it is made anew.
 * @throws HubError `settings.conflict`
 */
export async function changeSettings(
  context: Context<unknown, ChangeQuery>,
  plan: Plan,
): Promise<SettingsOutcome> {
  const { services, query, ifMatch } = context
  for (let attempt = 1; ; attempt += 1) {
    const current = await services.settings.current()
    requireMatch(ifMatch, current)
    const change = plan(current.document)
    try {
      return await services.settings.change({
        change,
        author: actorOf(context.identity),
        reason: query.reason,
        ifMatch: current.etag,
        dryRun: query.dryRun,
      })
    } catch (error) {
      const raced = error instanceof HubError && error.code === 'settings.conflict'
      if (!raced || ifMatch !== undefined || attempt === MOST_TRIES) throw error
    }
  }
}

/** What `If-Match` asks for (RFC 9110 §13.1.1). @throws HubError `settings.conflict` */
export function requireMatch(ifMatch: string | undefined, current: CurrentSettings): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return
  const tags = ifMatch.split(',').map((tag) => tag.trim())
  if (tags.includes(current.etag)) return
  throw new HubError(
    'settings.conflict',
    `The settings are at revision ${current.number} by now, not at ${ifMatch.slice(0, 100)}.`,
    { cure: 'Read them again, make the change on top of that, and send it with the new ETag.' },
  )
}

/** The answer to a change of the settings. */
export function changed(
  { query }: Context<unknown, ChangeQuery>,
  outcome: SettingsOutcome,
  message: string,
  data: object = {},
): Success {
  const { number, changes, warnings, etag } = outcome
  return {
    data: { ...data, revision: number, changes, warnings },
    etag,
    message: query.dryRun ? 'Nothing was changed: this was a dry run.' : message,
  }
}

/** The same for something new. */
export function made({ query }: Context<unknown, ChangeQuery>, answer: Success): Success {
  return { ...answer, status: query.dryRun ? 200 : 201 }
}
