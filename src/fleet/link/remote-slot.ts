import type { Holder } from '../worker/local-server.ts'
import type { RemoteUpstream } from './remote-upstream.ts'
import type { RemoteUpstreams } from './remote-upstreams.ts'

export interface Opening {
  readonly promise: Promise<RemoteUpstream>
  readonly wake: boolean
  readonly via: RemoteUpstreams
}

/** The place of one upstream: the shared one, or a holder's. It outlives links. */
export interface Slot {
  readonly holder: Holder | undefined
  upstream: RemoteUpstream | undefined
  opening: Opening | undefined
  /** It has been open, and as far as is known it still is on its node, with or without a link. */
  kept: boolean
  /** How many calls wait for it. */
  waiting: number
  /** Nobody wants it any more. */
  gone: boolean
}

export function newSlot(holder: Holder | undefined): Slot {
  return { holder, upstream: undefined, opening: undefined, kept: false, waiting: 0, gone: false }
}
