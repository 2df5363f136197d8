import { type Cluster, counter, type Document } from './cluster.ts'
import { LoadGenerator } from './load.ts'

/** `c`, which all share, and `own`, of which each session has a process; both with two replicas. */
export const SHARED_AND_OWN: Document = (journals) => ({
  mcpServers: {
    c: counter(journals, { replicas: 2 }),
    own: counter(journals, { isolation: 'session', replicas: 2 }),
  },
})

/** A load for each of the two. */
export async function loadBoth(
  cluster: Cluster,
): Promise<{ readonly shared: LoadGenerator; readonly own: LoadGenerator }> {
  const shared = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 16 })
  const url = cluster.endpoint('own')
  return { shared, own: await LoadGenerator.start({ url, tool: 'next', sessions: 8, pauseMs: 50 }) }
}
