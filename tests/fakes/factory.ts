import type { ClientIdentity, InboundHandler, UpstreamFactory } from '../../src/upstream/upstream.ts'
import { FakeUpstream } from './upstream.ts'

interface Opening {
  readonly identity: ClientIdentity
  readonly inbound: InboundHandler
  readonly signal: AbortSignal
  readonly outcome: PromiseWithResolvers<FakeUpstream>
}

/** Opens upstreams when the test says so, or at once in the way that `onOpen` gives. */
export class FakeFactory implements UpstreamFactory {
  readonly openings: Opening[] = []
  readonly upstreams: FakeUpstream[] = []
  readonly lines: string[] = []
  /** Looks at each opening as it begins, such as to let it succeed at once. */
  onOpen: ((opening: Opening) => void) | undefined

  async open(identity: ClientIdentity, inbound: InboundHandler, signal: AbortSignal): Promise<FakeUpstream> {
    const opening = { identity, inbound, signal, outcome: Promise.withResolvers<FakeUpstream>() }
    this.openings.push(opening)
    this.onOpen?.(opening)
    const upstream = await opening.outcome.promise
    this.upstreams.push(upstream)
    return upstream
  }

  stderr(): readonly string[] {
    return this.lines
  }

  /** From now on every opening succeeds at once; the upstream has been idle since `now`. */
  alwaysSucceed(now: () => number = () => 0): void {
    this.onOpen = ({ outcome }) => {
      const upstream = new FakeUpstream()
      upstream.idleSince = now()
      outcome.resolve(upstream)
    }
  }

  /** From now on every opening fails at once. */
  alwaysFail(error: Error): void {
    this.onOpen = ({ outcome }) => outcome.reject(error)
  }

  /** The newest opening. */
  get lastOpening(): Opening {
    const opening = this.openings.at(-1)
    if (!opening) throw new Error('Nothing was opened.')
    return opening
  }

  /** The newest upstream. */
  get lastUpstream(): FakeUpstream {
    const upstream = this.upstreams.at(-1)
    if (!upstream) throw new Error('There is no upstream.')
    return upstream
  }
}
