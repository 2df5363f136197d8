import type { Route } from '../../src/api/route.ts'

/** What a member of each item is, in a list of the API. */
type Listed = (path: string, member: string) => Promise<string[]>

/** Every address of a route, with the names of all that there is. */
export async function pathsOf({ name, path }: Route, listed: Listed): Promise<string[]> {
  const values: Record<string, () => Promise<string[]>> = {
    // What is switched off has no replicas.
    name: async () => (name.startsWith('cluster.') ? ['leaky'] : listed('/api/servers', 'name')),
    server: async () => ['leaky'],
    number: () => listed('/api/settings/revisions?limit=500', 'number'),
    id: () => (name.startsWith('keys.') ? listed('/api/auth/keys', 'id') : listed('/api/groups', 'id')),
    node: () => listed('/api/cluster/nodes', 'id'),
    session: async () => ['none'],
    username: () => listed('/api/users', 'username'),
  }
  let paths = [path]
  for (const [parameter, key = ''] of path.matchAll(/:(\w+)/g)) {
    const found = await values[key]?.()
    if (!found || found.length === 0) throw new Error(`Nothing is known for ${parameter} of ${name}.`)
    paths = paths.flatMap((each) => found.map((value) => each.replace(parameter, value)))
  }
  const variants: Record<string, string[]> = {
    'usage.export': ['?format=csv', '?format=ndjson'],
    'access.export': ['?format=csv', '?format=ndjson'],
    'servers.logs': ['?limit=1000', '?follow=1'],
    'logs.list': ['?limit=1000'],
    'logs.stream': ['?limit=1000'],
    'usage.list': ['?limit=1000'],
    'access.list': ['?limit=1000'],
    'audit.list': ['?limit=1000'],
    'revisions.list': ['?limit=500'],
    'usage.aggregate': ['?by=server,tool,username'],
    'revisions.diff': ['', '?from=1'],
  }
  return paths.flatMap((each) => (variants[name] ?? ['']).map((query) => `${each}${query}`))
}
