import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'

/** A client that can be asked everything, answers with its own name, and keeps what reached it. */
export async function person(name: string, url: string): Promise<Client & { heard: string[] }> {
  const client = new Client(
    { name, version: '1' },
    { capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} } },
  )
  const heard: string[] = []
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
    heard.push(`elicitation ${params.message}`)
    return { action: 'accept', content: { name, username: name, email: `${name}@example.test` } }
  })
  client.setRequestHandler(CreateMessageRequestSchema, async ({ params }) => {
    const [first] = params.messages
    heard.push(`sampling ${JSON.stringify(first?.content)}`)
    return { role: 'assistant', model: 'test', content: { type: 'text', text: `sampled by ${name}` } }
  })
  client.setRequestHandler(ListRootsRequestSchema, async () => ({
    roots: [{ uri: `file:///${name}`, name }],
  }))
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.push(`log ${String(params.data)}`)
  })
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    heard.push(`updated ${params.uri}`)
  })
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    heard.push('tools changed')
  })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)) as never)
  return Object.assign(client, { heard })
}
