/** What a driver does again and again, and how it knows that the answer is right. */

import type { Message } from './mcp-client.ts'

export type Workload = {
  kind: 'echo' | 'big' | 'progress'
  tool: string
  /** Bytes of a big answer, steps of a progress. */
  size: number
}

export type Exchange = { body: string; isRight: (messages: Message[]) => boolean }

export function exchangeOf({ kind, tool, size }: Workload, session: number): (id: number) => Exchange {
  const call = (id: number, args: string, meta = '') =>
    `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":{${args}}${meta}}}`
  switch (kind) {
    case 'echo':
      return (id) => {
        const text = `session ${session} says é ${id}`
        const isRight = (messages: Message[]) => messages.length === 1 && textOf(messages[0], id) === text
        return { body: call(id, `"text":"${text}"`), isRight }
      }
    case 'big': {
      const text = 'x'.repeat(size)
      return (id) => ({
        body: call(id, `"bytes":${size}`),
        isRight: (messages) => messages.length === 1 && textOf(messages[0], id) === text,
      })
    }
    case 'progress':
      return (id) => {
        const token = `${session}-${id}`
        const isRight = (messages: Message[]) => hasAllSteps(messages.slice(0, -1), size, token)
        return {
          body: call(id, `"steps":${size}`, `,"_meta":{"progressToken":"${token}"}`),
          isRight: (messages) => isRight(messages) && textOf(messages.at(-1), id) === `${size} steps`,
        }
      }
  }
}

function textOf(message: Message | undefined, id: number): string | undefined {
  if (message?.id !== id) return undefined
  const content = message.result?.['content'] as { text?: string }[] | undefined
  return content?.[0]?.text
}

function hasAllSteps(notifications: Message[], steps: number, token: string): boolean {
  const isNext = ({ params }: Message, n: number) =>
    params?.['progress'] === n + 1 && params['progressToken'] === token
  return notifications.length === steps && notifications.every(isNext)
}
