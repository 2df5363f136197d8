import type { HubSettings } from '../domain/server-spec.ts'
import { isObject } from '../mcp/json-rpc.ts'
import { knownSecrets } from '../state/secrets/secrets-in-document.ts'
import type { CheckedSettings } from '../state/settings/settings-checker.ts'

/** Names of variables whose values are secrets wherever they come from. */
const TELLING = /key|token|secret|passw|pwd|auth|cred|cookie/i

/**
 * Every value that must not show up in logs, records and errors: what stands in the document, and what its references come to.
 * Variables that only point somewhere, such as `HOME`, are left out, or every path would have holes.
 */
export function secretsOf({ document, settings, clusterSecrets = [] }: CheckedSettings): ReadonlySet<string> {
  return new Set([...knownSecrets(document), ...expandedSecrets(document, settings), ...clusterSecrets])
}

function* expandedSecrets(
  document: Record<string, unknown>,
  { servers, keys }: HubSettings,
): Generator<string> {
  for (const { token } of keys) yield token
  for (const { name, transport } of servers.values()) {
    if (transport.kind !== 'stdio') {
      for (const value of Object.values(transport.headers)) yield* [value, value.replace(/^[A-Za-z]+ +/, '')]
      continue
    }
    const written = environmentOf(document, name)
    for (const [variable, value] of Object.entries(transport.env))
      if (TELLING.test(`${variable} ${String(written[variable] ?? '')}`)) yield value
  }
}

function environmentOf(document: Record<string, unknown>, server: string): Record<string, unknown> {
  const { mcpServers } = document
  const config = isObject(mcpServers) && Object.hasOwn(mcpServers, server) ? mcpServers[server] : undefined
  const env = isObject(config) ? config['env'] : undefined
  return isObject(env) ? env : {}
}
