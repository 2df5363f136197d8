import type { ClientIdentity, Upstream } from '../../upstream/upstream.ts'

/** What dispatch needs of wherever the servers run: on this node, or behind links. */
export interface Servers {
  /**
   * The upstream to `server`: the holder's own where the server is isolated by session, else the shared one.
   * @throws HubError `server.unavailable`, or the promise rejects with it
   */
  upstream(server: string, holder: Holder | undefined): Upstream | Promise<Upstream>
  /** The same upstream if it is open already; nothing is started for it. */
  openUpstream(server: string, holder: Holder | undefined): Upstream | undefined
  /** The holder is gone. */
  release(holderId: string): void
}

export interface Holder {
  readonly id: string
  readonly identity: ClientIdentity
}
