import type { ServerSpec } from '../../domain/server-spec.ts'
import { encodeAnswer, isObject, jsonBytes, parseMessage } from '../../mcp/json-rpc.ts'
import { LISTS, type ListKind, usableItems } from '../catalog/listing.ts'
import { chosen, wholeServer } from '../catalog/view.ts'
import type { Reply } from '../sessions/session.ts'

/** A reply that applies the operator's overrides to a list that comes straight from a server. */
export function relayedList(reply: Reply, kind: ListKind, spec: ServerSpec): Reply {
  const overrides = kind === 'templates' ? spec.overrides.resources : spec.overrides[kind]
  if (overrides.size === 0) return reply
  return {
    message: (bytes) => reply.message(bytes),
    abandon: () => reply.abandon(),
    get reachable() {
      return reply.reachable
    },
    answer(bytes) {
      const answer = parseMessage(bytes)
      const usable = answer.kind === 'result' ? usableItems(kind, answer.result) : undefined
      if (answer.kind !== 'result' || !usable || !isObject(answer.result)) return reply.answer(bytes)
      const items = chosen(kind, wholeServer(spec), usable.items)
      const body = jsonBytes({ ...answer.result, [LISTS[kind].member]: items })
      reply.answer(encodeAnswer(answer.id, { ...answer, body }))
    },
  }
}
