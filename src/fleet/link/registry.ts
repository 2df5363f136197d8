import { HubError } from '../../domain/errors.ts'
import type { Newcomer } from './handshake.ts'
import type { SocketLink } from './socket-link.ts'

interface Entry extends Newcomer {
  readonly link: SocketLink
}

/** A process that has not answered for this long gives way to another that says to be the same node. */
const PROBE_MS = 2_000

/** Which node is linked, so that each is once. */
export class LinkRegistry {
  readonly #entries = new Map<string, Entry>()

  get links(): readonly SocketLink[] {
    return [...this.#entries.values()].map(({ link }) => link)
  }

  /**
   * Resolves when the newcomer may have its node id. Of one process the later link counts; another process must wait until the one
   * that has the id is gone or does not answer.
   * @throws HubError `link.replaced` or `node.duplicate`
   */
  async admit(newcomer: Newcomer): Promise<void> {
    for (;;) {
      const entry = this.#entries.get(newcomer.facts.id)
      if (!entry) return
      if (entry.instance === newcomer.instance) {
        if (entry.attempt < newcomer.attempt) return
        throw new HubError('link.replaced', 'A later link of the same node is there already.')
      }
      if (await entry.link.isAlive(PROBE_MS)) throw duplicate(entry, newcomer)
      // Somebody else may have come while this one was asked.
      if (this.#entries.get(newcomer.facts.id) === entry) return
    }
  }

  /** Closes the link that had the id before. In the same turn as `admit` has resolved. */
  enter(newcomer: Newcomer, link: SocketLink): void {
    const { id } = newcomer.facts
    const before = this.#entries.get(id)
    this.#entries.set(id, { ...newcomer, link })
    before?.link.close(
      new HubError('link.replaced', `Node ${JSON.stringify(id)} has made a newer link.`, {
        cure: 'Nothing is to be done: calls go over the newer link.',
      }),
    )
    void link.closed.then(() => {
      if (this.#entries.get(id)?.link === link) this.#entries.delete(id)
    })
  }
}

function duplicate({ facts: there }: Entry, { facts: here }: Newcomer): HubError {
  const place = ({ hostname, host, port }: Newcomer['facts']) =>
    host === undefined ? hostname : `${hostname} (${host}${port === undefined ? '' : `:${port}`})`
  return new HubError(
    'node.duplicate',
    `Two nodes have the id ${JSON.stringify(here.id)}: one on ${place(there)}, which is linked, and one on ${place(here)}.`,
    {
      cure: 'Do not copy a data directory between nodes, or give each node a NODE_ID of its own.',
      data: { node: here.id, hosts: [there.hostname, here.hostname] },
    },
  )
}
