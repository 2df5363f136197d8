import { z } from 'zod'
import { HubError } from '../../domain/errors.ts'
import { wireSpecSchema } from './spec-wire.ts'

/** The first byte of a packet that holds a control message: JSON text in UTF-8 follows. */
export const CONTROL_KIND = 1
/** No control message is longer. */
const MAX_BYTES = 32 * 1024 * 1024

/** Of a pinned replica: a server's name and a node's id. */
const id = z.string().min(1).max(2_048)
const count = z.number().int().min(0)
const percent = z.number().min(0).max(100)
/** As packets carry it: see `packet-bytes.ts`. */
const epoch = count.max(2 ** 48 - 1)
/** ms since the epoch; a `Date` holds no more. */
const time = z.number().min(0).max(8.64e15)

/** So much of what a failed replica wrote last travels with a beat. */
export const LAST_WORDS = { lines: 20, chars: 300 } as const

const load = z.object({ cpuPercent: percent, memoryPercent: percent, activeCalls: count })

const report = z.object({
  id,
  epoch,
  server: id,
  origin: z.enum(['pinned', 'managed']),
  phase: z.enum(['pending', 'starting', 'running', 'error', 'stopped', 'terminated']),
  error: z.string().max(4_096).optional(),
  stderr: z.array(z.string().max(LAST_WORDS.chars)).max(LAST_WORDS.lines).readonly().optional(),
  createdAt: time,
  specHash: z.string().max(128),
  calls: count,
  sessions: count,
})

const assignment = z.object({ id, epoch, specHash: z.string().max(128), spec: wireSpecSchema })

/** What a worker tells its coordinator. */
const toCoordinator = z.discriminatedUnion('type', [
  /** The servers of its own settings, each time all of them. */
  z.object({ type: z.literal('pinned'), specs: z.array(wireSpecSchema).max(10_000) }),
  /** That it lives, and all that it runs. `term`, `revision`: of the assignment that it follows. */
  z.object({
    type: z.literal('beat'),
    seq: count,
    term: count,
    revision: count,
    load,
    replicas: z.array(report).max(10_000),
  }),
  /** It is about to end, and has let its calls finish. */
  z.object({ type: z.literal('leaving') }),
])

/** What a coordinator tells a worker. */
const toWorker = z.discriminatedUnion('type', [
  /** The answer to a beat: the worker's lease counts from when it sent that. The times, in ms, are those by which the node is given up. */
  z.object({
    type: z.literal('ack'),
    seq: count,
    intervalMs: count.min(1).optional(),
    leaseMs: count.min(1).optional(),
  }),
  /** All managed replicas that the worker is to run. An older term, or an older revision of the same, is void. */
  z.object({
    type: z.literal('assign'),
    term: count,
    revision: count,
    replicas: z.array(assignment).max(10_000),
  }),
  /** Start a pinned replica anew. Whoever is not linked just then misses it: it is asked for by hand, and can be asked for again. */
  z.object({ type: z.literal('reload'), replica: id }),
])

export type ToCoordinator = z.infer<typeof toCoordinator>
export type ToWorker = z.infer<typeof toWorker>

export function encodeControl(message: ToCoordinator | ToWorker): Buffer {
  return Buffer.concat([Buffer.of(CONTROL_KIND), Buffer.from(JSON.stringify(message))])
}

/** @throws HubError `link.violation` */
export function readToCoordinator(packet: Buffer): ToCoordinator {
  return read(toCoordinator, packet)
}

/** @throws HubError `link.violation` */
export function readToWorker(packet: Buffer): ToWorker {
  return read(toWorker, packet)
}

function read<T>(schema: z.ZodType<T>, packet: Buffer): T {
  if (packet.length > MAX_BYTES) throw violation('it is too long')
  const parsed = schema.safeParse(parse(packet))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw violation(`${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'invalid'}`)
}

function parse(packet: Buffer): unknown {
  try {
    return JSON.parse(packet.toString('utf8', 1))
  } catch {
    throw violation('it is not JSON')
  }
}

function violation(why: string): HubError {
  return new HubError('link.violation', `A control message of another node cannot be read: ${why}.`, {
    cure: 'Run the same version of Flotilla on all nodes.',
  })
}
