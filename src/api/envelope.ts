import { z } from 'zod'
import { failure } from './contract/failure.ts'
import type { Plain, Route, Success } from './route.ts'

/** The body of an answer that went well: MCPHub's envelope, or the bare document. */
export function bodyOf(outcome: Success | Plain): unknown {
  if ('plain' in outcome) return outcome.plain
  const { success = true, data, message, beside } = outcome
  return {
    success,
    ...(message === undefined ? {} : { message }),
    ...(data === undefined ? {} : { data }),
    ...beside,
  }
}

/** What a route answers, by status, as fastify takes it; the same schemas make the description of the API. */
export function answersOf(route: Route): Record<string, unknown> {
  const { statuses = [200] } = route
  const good = goodAnswer(route)
  return {
    ...Object.fromEntries(statuses.map((status) => [String(status), good])),
    '4xx': failure,
    '5xx': failure,
  }
}

function goodAnswer(route: Route): unknown {
  const schema = route.shape === 'plain' ? route.answer : envelopeOf(route)
  if (!route.streams) return schema
  const texts = route.streams.map((type) => [type, { schema: z.string() }] as const)
  return { content: Object.fromEntries([['application/json', { schema }], ...texts]) }
}

function envelopeOf({ answer, beside = {} }: Route): z.ZodType {
  const data = answer instanceof z.ZodUndefined ? {} : { data: answer }
  return z.object({ success: z.boolean(), message: z.string().optional(), ...data, ...beside })
}
