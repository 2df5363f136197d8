import type { ClientIdentity, Upstream } from '../../upstream/upstream.ts'

/** What dispatch needs of wherever the servers run: on this node, or behind links. */
export interface Servers {
  /**
   * The upstream to `server`: the holder's own where the server is isolated, else a shared one.
   * @throws HubError `server.unavailable`, or the promise rejects with it
   */
  upstream(server: string, holder: Holder | undefined): Upstream | Promise<Upstream>
  /** The upstream that the holder uses, if it is open already; nothing is started for it. */
  openUpstream(server: string, holder: Holder | undefined): Upstream | undefined
  /**
   * The shared upstreams of all replicas that are open: what the server is told for everybody, each must hear. Under isolation `user` the
   * one that the holder shares with the user's other sessions.
   */
  sharedUpstreams(server: string, holder?: Holder): readonly Upstream[]
  /** The holder is gone. */
  release(holderId: string): void
  /** How a call fares, for whoever has a choice between replicas. Each `sent` is followed by one of the others. */
  observed?(upstream: Upstream, event: CallEvent): void
}

/**
 * `answered`: also with an error of the tool or the server. `timeout`: no answer in time. `lost`: the connection ended first, or took nothing.
 * `invalid`: the answer was none. `abandoned`: nobody waits any more, which says nothing of the server.
 */
export type CallEvent = 'sent' | 'answered' | 'timeout' | 'lost' | 'invalid' | 'abandoned'

export interface Holder {
  readonly id: string
  readonly identity: ClientIdentity
  /** With whom it shares upstreams under isolation `user`: an id as `userHolderId` makes it. */
  readonly user?: string
  /** It makes one call and is gone: it needs no bond to a replica. */
  readonly oneOff?: boolean
  /** The node that its calls should go to, as its cookie or header says; written when a cookie is to say so from now on. */
  preferredNode?: string | undefined
}
