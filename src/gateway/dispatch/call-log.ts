import { messageOf } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import { isObject, type RpcRequest } from '../../mcp/json-rpc.ts'
import type { UsageEntry } from '../../observability/activity/record-maker.ts'
import type { Outcome, Session } from '../sessions/session.ts'

/** Takes note of tool calls. A client waits meanwhile: it must do no more than that, and never throw. */
export interface CallLog {
  /** Whether the settings allow arguments to be kept. */
  keepsArguments(): boolean
  finished(call: UsageEntry): void
}

/** Far more than is kept of an error in the end, so that a secret is not cut in two before it is looked for. */
const LONGEST_ERROR = 16 * 1024

/** Watches a call that starts now; the result is to be called with its outcome. */
export function watchCall(
  { calls, clock }: { readonly calls: CallLog; readonly clock: Clock },
  session: Session,
  request: RpcRequest,
  { server, tool }: { readonly server: string; readonly tool: string },
): (outcome: Outcome) => void {
  const began = clock.monotonic()
  const keeps = calls.keepsArguments()
  return (outcome) => {
    const durationMs = clock.monotonic() - began
    const error = errorOf(outcome)
    calls.finished({
      timestamp: Math.round(clock.now() - durationMs),
      username: session.principal.username,
      keyId: session.principal.keyId,
      server,
      tool,
      success: error === undefined,
      durationMs,
      error,
      arguments: keeps ? request.params?.['arguments'] : undefined,
      argumentsBytes: keeps ? (request.body?.length ?? 0) : 0,
      ip: session.client.ip,
      userAgent: session.client.userAgent,
      sessionId: session.id,
    })
  }
}

/** What went wrong, in words; undefined when nothing did. Never throws: what a worker has passed on is read here for the first time. */
function errorOf(outcome: Outcome): string | undefined {
  try {
    return readError(outcome)
  } catch (error) {
    return messageOf(error)
  }
}

function readError(outcome: Outcome): string | undefined {
  if (outcome instanceof Error) return outcome.message
  if (outcome.kind === 'error') return start(outcome.error.message)
  // What a worker has looked at already need not be parsed here.
  if (outcome.isError === false) return undefined
  const { result } = outcome
  return isObject(result) && result['isError'] === true ? start(firstText(result['content'])) : undefined
}

function firstText(content: unknown): string {
  const blocks: unknown[] = Array.isArray(content) ? content : []
  for (const block of blocks) if (isObject(block) && typeof block['text'] === 'string') return block['text']
  return 'The tool reported an error without saying which.'
}

/** A copy: a mere slice would keep the whole text in memory. */
function start(text: string): string {
  return text.length <= LONGEST_ERROR ? text : Buffer.from(text.slice(0, LONGEST_ERROR)).toString()
}
