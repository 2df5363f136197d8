import { join } from 'node:path'
import { z } from 'zod'
import type { NodeFlags } from '../../fleet/membership/membership.ts'
import type { Logger } from '../../kernel/logger.ts'
import { JsonCache } from '../../state/json-cache/json-cache.ts'

/** What a coordinator knows after a restart. */
export interface Remembered {
  /** Ids of the nodes that may still run what they were told to; undefined: nobody knows, or there were none. */
  readonly nodes: readonly string[] | undefined
  /** What the operator has said of nodes, by id. */
  readonly flags: ReadonlyMap<string, NodeFlags>
}

const FOLDER = 'cluster'
const KEY = 'nodes'
const FORMAT = '1'

const id = z.string().min(1).max(255)
const schema = z.object({
  nodes: z.array(id).max(10_000),
  flags: z.array(z.tuple([id, z.object({ cordoned: z.boolean(), draining: z.boolean() })])).max(10_000),
})

/** Keeps in DATA_DIR what a coordinator must know after a restart. To lose it costs time and a word of the operator, and no data. */
export class ClusterMemory {
  readonly last: Remembered
  readonly #cache: JsonCache
  #saved = ''

  static async open(dataDir: string, log: Logger): Promise<ClusterMemory> {
    const cache = new JsonCache(join(dataDir, FOLDER), log)
    const stored = schema.safeParse(await cache.load(KEY, FORMAT))
    return new ClusterMemory(cache, stored.success ? stored.data : { nodes: [], flags: [] })
  }

  private constructor(cache: JsonCache, { nodes, flags }: z.infer<typeof schema>) {
    this.#cache = cache
    this.last = { nodes: nodes.length === 0 ? undefined : nodes, flags: new Map(flags) }
  }

  /** Writes in the background, where something has changed. */
  save(nodes: readonly string[], flags: ReadonlyMap<string, NodeFlags>): void {
    const value = { nodes: [...new Set(nodes)].sort(), flags: [...flags] }
    const text = JSON.stringify(value)
    if (text === this.#saved) return
    this.#saved = text
    this.#cache.save(KEY, FORMAT, value)
  }

  /** Resolves when all is written. */
  written(): Promise<void> {
    return this.#cache.close()
  }
}
