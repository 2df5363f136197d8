import { z } from 'zod'
import type { NodeFacts } from '../../domain/cluster.ts'

/** Ids stand in logs, URLs and names of replicas: no blanks, no control characters. */
export const nodeIdSchema = z
  .string()
  .regex(/^[^\s\p{C}]{1,128}$/u, 'must be 1 to 128 characters without blanks')

const shortText = z.string().max(255)

/** What another node says of itself. Members that it does not know are left out: the other may be newer. */
export const nodeFactsSchema = z
  .object({
    id: nodeIdSchema,
    name: shortText,
    role: z.enum(['coordinator', 'worker']),
    version: z.string().max(64),
    host: shortText.optional(),
    port: z.number().int().min(1).max(65_535).optional(),
    hostname: shortText,
    os: shortText,
    labels: z.record(z.string().max(128), shortText).refine(atMost(64), 'must be at most 64'),
    weight: z.number().positive().max(1_000_000),
    maxServers: z.number().int().min(0).max(1_000_000).optional(),
    runtimes: z.array(z.string().max(64)).max(64),
  })
  .transform(
    (facts): NodeFacts => ({
      ...facts,
      host: facts.host,
      port: facts.port,
      maxServers: facts.maxServers,
    }),
  )

function atMost(count: number): (record: Readonly<Record<string, string>>) => boolean {
  return (record) => Object.keys(record).length <= count
}
