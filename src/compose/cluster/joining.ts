import { HubError } from '../../domain/errors.ts'
import { linkAddress } from '../../fleet/link/dial.ts'

/** When a worker begins to dial its coordinators: at its start, or when somebody with the cluster token says so. */
export class Joining {
  readonly #coordinators: readonly string[]
  #dial: ((url: string) => void) | undefined

  /** @param coordinators the URLs of the settings: no other is ever dialed */
  constructor(coordinators: readonly string[]) {
    this.#coordinators = coordinators
  }

  /** @param dial keeps a link to a URL; is not to mind being told twice. undefined: the worker ends */
  open(dial: ((url: string) => void) | undefined): void {
    this.#dial = dial
  }

  /**
   * Dials this coordinator, or all.
   * @throws HubError `request.invalid-params` for one that the settings do not name, `hub.stopping`
   */
  join(url?: string): void {
    const urls = url === undefined ? this.#coordinators : this.#coordinators.filter((own) => isSame(own, url))
    if (urls.length === 0) throw notOurs()
    if (!this.#dial)
      throw new HubError('hub.stopping', 'The worker is just starting, or about to end.', {
        retryAfter: 1,
        cure: 'Try again.',
      })
    for (const each of urls) this.#dial(each)
  }
}

/** Whoever names a coordinator need not know the credentials that its URL may hold. */
function isSame(own: string, given: string): boolean {
  return URL.canParse(given) && hrefOf(own) === hrefOf(given)
}

function hrefOf(url: string): string | undefined {
  try {
    const address = linkAddress(url)
    address.username = ''
    address.password = ''
    return address.href
  } catch {
    return undefined
  }
}

function notOurs(): HubError {
  return new HubError(
    'request.invalid-params',
    'coordinatorUrl: the settings of this worker do not name it.',
    {
      cure: 'Leave it out, so that the worker joins all coordinators of its settings (CLUSTER_MASTER_URL), or add it there.',
    },
  )
}
