import { z } from 'zod'
import { logIn, type RestCredential, rest } from './rest.ts'

export const nodeSchema = z.looseObject({
  id: z.string(),
  role: z.enum(['master', 'worker']),
  host: z.string().nullish(),
  port: z.number().nullish(),
  status: z.enum(['online', 'offline', 'unhealthy']),
  lastHeartbeat: z.number(),
  registeredAt: z.number(),
  metadata: z.looseObject({ hostname: z.string().nullish(), version: z.string().optional() }).optional(),
  name: z.string().optional(),
  cordoned: z.boolean().optional(),
  draining: z.boolean().optional(),
})
export type ClusterNodeView = z.infer<typeof nodeSchema>

export const replicaSchema = z.looseObject({
  id: z.string(),
  serverName: z.string(),
  nodeId: z.string(),
  status: z.enum(['running', 'stopped', 'error']),
  createdAt: z.number(),
  error: z.string().optional(),
  phase: z.string(),
  epoch: z.number(),
})
export type ReplicaView = z.infer<typeof replicaSchema>

export const statusSchema = z.looseObject({
  enabled: z.boolean(),
  mode: z.string(),
  role: z.string(),
  nodeId: z.string(),
  stats: z.object({
    nodes: z.number(),
    activeNodes: z.number(),
    servers: z.number(),
    sessions: z.number(),
  }),
  nodes: z.array(nodeSchema),
  totalReplicas: z.number(),
  healthyReplicas: z.number(),
  sessions: z.number(),
})

export const replicasSchema = z.looseObject({
  serverName: z.string(),
  desiredReplicas: z.number(),
  currentReplicas: z.number(),
  replicas: z.array(replicaSchema),
})

export const routeSchema = z.looseObject({
  sessionId: z.string(),
  serverName: z.string(),
  nodeId: z.string(),
  replicaId: z.string(),
  createdAt: z.number(),
  lastActivity: z.number(),
})

export const eventSchema = z.looseObject({
  number: z.number(),
  at: z.number(),
  kind: z.string(),
  text: z.string(),
})

/** The management API of a cluster, as an admin who has a password sees it. Every answer is held against its shape. */
export class ClusterApi {
  readonly #url: string
  readonly #password: string | undefined
  #login: Promise<RestCredential> | undefined

  /** @param password undefined: asks as nobody in particular */
  constructor(url: string, password: string | undefined) {
    this.#url = url
    this.#password = password
  }

  async status() {
    return this.#data('GET /api/cluster/status', statusSchema)
  }

  async nodes(): Promise<ClusterNodeView[]> {
    return (await this.#data('GET /api/cluster/nodes', z.looseObject({ nodes: z.array(nodeSchema) }))).nodes
  }

  async node(id: string): Promise<ClusterNodeView | undefined> {
    return (await this.nodes()).find((node) => node.id === id)
  }

  async replicas(server: string): Promise<ReplicaView[]> {
    return (await this.replication(server)).replicas
  }

  async running(server: string): Promise<ReplicaView[]> {
    return (await this.replicas(server)).filter(({ phase }) => phase === 'running')
  }

  async replication(server: string) {
    return this.#data(`GET /api/cluster/replicas/${server}`, replicasSchema)
  }

  async setReplicas(server: string, body: Record<string, unknown>): Promise<void> {
    await this.ask(`PUT /api/cluster/replicas/${server}`, body)
  }

  async cordon(id: string): Promise<void> {
    await this.ask(`POST /api/cluster/nodes/${id}/cordon`)
  }

  async uncordon(id: string): Promise<void> {
    await this.ask(`POST /api/cluster/nodes/${id}/uncordon`)
  }

  async drain(id: string): Promise<void> {
    await this.ask(`POST /api/cluster/nodes/${id}/drain`)
  }

  async events() {
    const shape = z.looseObject({ events: z.array(eventSchema) })
    return (await this.#data('GET /api/cluster/events', shape)).events
  }

  /** Asks with a login, and gives the envelope. @throws for all but success */
  async ask(request: string, body?: unknown): Promise<Record<string, unknown>> {
    const as = await this.#credential()
    const answer = await rest(this.#url, request, { as, ...(body === undefined ? {} : { body }) })
    if (answer.status >= 300) throw new Error(`${request}: ${answer.status} ${answer.text}`)
    return answer.body
  }

  async #data<T>(request: string, shape: z.ZodType<T>): Promise<T> {
    const envelope = z.object({ success: z.literal(true), data: shape }).safeParse(await this.ask(request))
    if (!envelope.success) throw new Error(`${request}: ${z.prettifyError(envelope.error)}`)
    return envelope.data.data
  }

  #credential(): Promise<RestCredential> {
    const password = this.#password
    if (password === undefined) return Promise.resolve({})
    this.#login ??= logIn(this.#url, 'admin', password).then((login) => ({ login }))
    // The next request tries again: the coordinator may not be there yet.
    this.#login.catch(() => {
      this.#login = undefined
    })
    return this.#login
  }
}
