import type { z } from 'zod'
import type { Identity, Permission } from '../access/permissions.ts'
import type { Credentials, Services } from './ports.ts'
import type { HubInsight } from './server-views.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One request on its way through a handler. */
export interface Context<P = unknown, Q = unknown, B = unknown> {
  readonly identity: Identity
  /** False for nobody in particular, on public routes. */
  readonly known: boolean
  readonly params: P
  readonly query: Q
  readonly body: B
  /** What `If-Match` says, on routes that heed it. */
  readonly ifMatch: string | undefined
  readonly services: Services
  readonly hub: HubInsight
  readonly credentials: Credentials
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
  /** A UUID that nobody has. */
  uuid(): string
  /** The description of this API. */
  openApi(): object
}

/** What a handler answers; the pipeline puts it into the envelope. */
export interface Success {
  readonly data?: unknown
  readonly message?: string
  readonly status?: number
  /** Members beside `data`, where MCPHub's clients look for them. */
  readonly beside?: Readonly<Record<string, unknown>>
  /** False in answers that arrived well and say that things are not. */
  readonly success?: boolean
  readonly etag?: string
  readonly setCookie?: string
}

/** An answer that is no envelope: a document of its own, with its status. */
export interface Plain {
  readonly plain: unknown
  readonly status?: number
}

/** An answer that goes on for as long as there is something to say. */
export interface Streamed {
  readonly stream: AsyncIterable<string>
  readonly contentType: string
  /** Makes browsers save it under this name. */
  readonly filename?: string
}

export type Outcome = Success | Plain | Streamed

/** A route as data. All that is served under /api stands in `ROUTES`. */
export interface Route {
  /** Such as `servers.update`: also the action in access and audit records, and the operation's id. */
  readonly name: string
  readonly method: Method
  readonly path: string
  readonly permission: Permission
  readonly summary: string
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** What `data` is; for plain answers the whole body. */
  readonly answer: z.ZodType
  /** Members beside `data`. */
  readonly beside?: z.ZodRawShape
  readonly shape?: 'envelope' | 'plain'
  /** Media types of streamed answers; without an envelope or plain answer beside them `answer` is text. */
  readonly streams?: readonly string[]
  /** Statuses under which `answer` comes; 200 if nothing else is said. */
  readonly statuses?: readonly number[]
  readonly ifMatch?: boolean
  /** False for what is no GET and yet leaves the hub as it is: also done by an instance that takes no changes. */
  readonly changes?: false
  /** Makes an audit record about this target, such as `server:{name}`: members of the params, else of the body. */
  readonly audit?: string
  handle(context: Context): Promise<Outcome>
}

type Absent = z.ZodUndefined

interface TypedRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>
  extends Omit<Route, 'params' | 'query' | 'body' | 'handle'> {
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  handle(context: Context<z.output<P>, z.output<Q>, z.output<B>>): Promise<Outcome>
}

/** A route whose handler knows the types of its schemas. */
export function route<
  P extends z.ZodType = Absent,
  Q extends z.ZodType = Absent,
  B extends z.ZodType = Absent,
>(route: TypedRoute<P, Q, B>): Route {
  return route
}
