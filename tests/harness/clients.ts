import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js'

export interface ClientSetup {
  readonly name?: string
  readonly capabilities?: ClientCapabilities
  readonly headers?: Record<string, string>
}

/** The official v1 client, connected by streamable HTTP. */
export async function connectV1(url: string, setup: ClientSetup = {}): Promise<Client> {
  const client = makeV1(setup)
  await client.connect(
    // The SDK's own types disagree under exactOptionalPropertyTypes.
    new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers: setup.headers ?? {} },
    }) as never,
  )
  return client
}

/** The official v1 client, connected by the older HTTP+SSE pair. */
export async function connectSse(url: string, setup: ClientSetup = {}): Promise<Client> {
  const client = makeV1(setup)
  await client.connect(
    new SSEClientTransport(new URL(url), { requestInit: { headers: setup.headers ?? {} } }) as never,
  )
  return client
}

/** The official v2 client, connected by streamable HTTP. */
export async function connectV2(url: string, setup: { name?: string } = {}): Promise<ClientV2> {
  const client = new ClientV2({ name: setup.name ?? 'test-v2', version: '1.0.0' }, { capabilities: {} })
  await client.connect(new TransportV2(new URL(url)))
  return client
}

/** A v1 client that is not connected yet, so that handlers can be set first. */
export function makeV1({ name = 'test-v1', capabilities = {} }: ClientSetup = {}): Client {
  return new Client({ name, version: '1.0.0' }, { capabilities })
}

/** The text of the first content block of a tool result. */
export function textOf(result: unknown): string {
  const { content } = result as { content: { type: string; text?: string }[] }
  return content[0]?.text ?? ''
}
