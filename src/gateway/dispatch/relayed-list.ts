import { encodeAnswer, encodeResult, isObject, jsonBytes, parseMessage } from '../../mcp/json-rpc.ts'
import { LISTS, type ListKind, usableItems } from '../catalog/listing.ts'
import { isWhole, type ScopeMember } from '../catalog/scope.ts'
import { chosen } from '../catalog/view.ts'
import type { Reply } from '../sessions/session.ts'

/** A reply that applies the operator's overrides, and the limits of a key, to a list that comes straight from a server. */
export function relayedList(reply: Reply, kind: ListKind, member: ScopeMember): Reply {
  const { overrides: all } = member.spec
  const overrides = kind === 'templates' ? all.resources : all[kind]
  if (overrides.size === 0 && isWhole(member)) return reply
  return {
    message: (bytes) => reply.message(bytes),
    abandon: () => reply.abandon(),
    get reachable() {
      return reply.reachable
    },
    answer(bytes) {
      const answer = parseMessage(bytes)
      const usable = answer.kind === 'result' ? usableItems(kind, answer.result) : undefined
      if (answer.kind !== 'result') return reply.answer(bytes)
      if (!usable || !isObject(answer.result)) {
        // What is no list cannot be narrowed: who may see a part only sees none of it.
        if (isWhole(member)) return reply.answer(bytes)
        return reply.answer(encodeResult(answer.id, jsonBytes({ [LISTS[kind].member]: [] })))
      }
      const items = chosen(kind, member, usable.items)
      const body = jsonBytes({ ...answer.result, [LISTS[kind].member]: items })
      reply.answer(encodeAnswer(answer.id, { ...answer, body }))
    },
  }
}
