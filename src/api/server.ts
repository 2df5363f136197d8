import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import fastifyCookie from '@fastify/cookie'
import fastifySwagger from '@fastify/swagger'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { Identity } from '../access/permissions.ts'
import { HubError, hubStopping, toHubError } from '../domain/errors.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { answersOf, bodyOf } from './envelope.ts'
import { asHubError, failureOf } from './failure.ts'
import { CLUSTER_NODE, NOBODY, requireScope } from './identity.ts'
import { parseBody } from './json-body.ts'
import { openApiOptions, securityOf } from './openapi.ts'
import { methodsOf } from './paths.ts'
import type { ActivityRecorder, Credentials, Services } from './ports.ts'
import { record } from './records.ts'
import type { Context, Outcome, Route } from './route.ts'
import { ROUTES } from './routes.ts'
import type { HubInsight } from './server-views.ts'

export interface ApiDeps {
  readonly services: Services
  readonly hub: HubInsight
  readonly recorder: ActivityRecorder
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  uuid(): string
  /** Takes known secrets out of a sentence. */
  harmless(text: string): string
  /** Where a request comes from; by default the other end of its connection. */
  clientIp?(request: IncomingMessage): string | undefined
}

export interface Api {
  /** Answers a request to `/api` or one of the health paths. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void
  /** What fastify serves, as `GET /api/servers`; HEAD is left out. */
  readonly served: readonly string[]
  /** Takes no more requests. Safe to call twice. */
  close(): Promise<void>
}

const BODY_LIMIT = 4 * 1024 * 1024
/** Names and URIs stand in paths, percent-encoded. */
const LONGEST_PARAM = 16 * 1024

/** What is known of one request while it is answered. */
interface Asked {
  readonly id: string
  readonly at: number
  readonly started: number
  readonly credentials: Credentials
  identity: Identity
}

declare module 'fastify' {
  interface FastifyContextConfig {
    apiRoute?: Route
  }
  interface FastifyRequest {
    asked: Asked | undefined
  }
}

/**
 * The management API. It does not listen: the hub's own HTTP server hands requests over, whose Host and Origin it has
 * checked.
 */
export async function createApi(deps: ApiDeps, routes: readonly Route[] = ROUTES): Promise<Api> {
  const api = new ManagementApi(deps, routes)
  await api.start()
  return api
}

class ManagementApi implements Api {
  readonly served: string[] = []
  readonly #deps: ApiDeps
  readonly #routes: readonly Route[]
  readonly #app: FastifyInstance
  #closed: Promise<void> | undefined

  constructor(deps: ApiDeps, routes: readonly Route[]) {
    this.#deps = deps
    this.#routes = routes
    this.#app = fastify({
      logger: false,
      bodyLimit: BODY_LIMIT,
      requestIdHeader: false,
      genReqId: (request) => requestId(request.headers['x-request-id']) ?? deps.random.id(96),
      // The hub itself says when it is stopping, in its own words.
      return503OnClosing: false,
      routerOptions: { ignoreTrailingSlash: true, maxParamLength: LONGEST_PARAM },
      frameworkErrors: (error, request, reply) => void this.#refuseUnrouted(error, request, reply),
    })
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (this.#closed) this.#sendRaw(response, hubStopping(), this.#deps.random.id(96))
    else this.#app.routing(request, response)
  }

  close(): Promise<void> {
    this.#closed ??= this.#app.close()
    return this.#closed
  }

  async start(): Promise<void> {
    const app = this.#app
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'string' },
      async (_request: unknown, text: string) => parseBody(text),
    )
    app.decorateRequest('asked', undefined)
    // Before the hook below, which looks at the cookies.
    await app.register(fastifyCookie)
    app.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) if (each !== 'HEAD') this.served.push(`${each} ${url}`)
    })
    app.addHook('onRequest', (request, reply) => this.#admit(request, reply))
    app.setErrorHandler((error, request, reply) => this.#refuse(error, request, reply))
    app.setNotFoundHandler((request) => {
      throw this.#notFound(request)
    })
    await app.register(fastifySwagger, openApiOptions(this.#deps.services.status.version))
    // Only what is registered from here on is in the description of the API.
    app.register(async (scope) => {
      for (const route of this.#routes) this.#register(scope, route)
    })
    await app.ready()
  }

  #register(app: FastifyInstance, route: Route): void {
    const { params, query, body } = route
    app.route({
      method: route.method,
      url: route.path,
      config: { apiRoute: route },
      schema: {
        summary: route.summary,
        operationId: route.name,
        tags: [route.name.split('.')[0] ?? route.name],
        security: securityOf(route.permission),
        ...(params ? { params } : {}),
        ...(query ? { querystring: query } : {}),
        ...(body ? { body } : {}),
        response: answersOf(route),
      },
      handler: async (request, reply) => {
        const outcome = await route.handle(this.#context(route, request, reply))
        return send(reply, outcome)
      },
    })
  }

  /** Who asks, and whether they may: before anything of the body is read. Nobody learns what there is without a key. */
  async #admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const asked = this.#ask(request)
    request.asked = asked
    reply.headers({ 'x-request-id': asked.id, ...SAFETY })
    const { auth } = this.#deps.services
    const route = request.routeOptions.config.apiRoute
    // Comes for every answer, also for one whose reader has gone away; fastify's own hook does not.
    reply.raw.once('close', () => this.#remember(asked, { route, request, status: reply.statusCode }))
    if (route?.permission === 'public') {
      asked.identity = await this.#identifySoftly(asked.credentials)
    } else if (route?.permission === 'cluster:node') {
      asked.identity = await this.#identifyNode(asked.credentials)
    } else {
      asked.identity = await auth.identify(asked.credentials)
      if (!route) return
      auth.authorize(asked.identity, route.permission)
      requireScope(asked.identity, route.permission)
    }
    if (route.method !== 'GET' && route.changes !== false) auth.requireWritable()
  }

  #ask(request: FastifyRequest): Asked {
    const { clock, clientIp } = this.#deps
    const ip = clientIp ? clientIp(request.raw) : request.raw.socket.remoteAddress
    const { method, headers } = request
    const cookies = request.cookies ?? {}
    return {
      id: request.id,
      at: clock.now(),
      started: clock.monotonic(),
      credentials: { method, headers, cookies, ip },
      identity: NOBODY,
    }
  }

  /** On public routes a credential that does not work is as good as none. */
  async #identifySoftly(credentials: Credentials): Promise<Identity> {
    try {
      return await this.#deps.services.auth.identify(credentials)
    } catch (error) {
      const { code } = toHubError(error)
      if (code !== 'internal') return NOBODY
      this.#deps.log.error({ err: error }, 'a credential could not be looked at')
      return NOBODY
    }
  }

  /** @throws HubError `access.unauthenticated`, and `access.denied` for who is known and no node */
  async #identifyNode(credentials: Credentials): Promise<Identity> {
    const { auth, cluster } = this.#deps.services
    if (cluster.admits(credentials)) return CLUSTER_NODE
    const identity = await auth.identify(credentials)
    if (identity.kind === 'open')
      throw new HubError('access.unauthenticated', 'This is for nodes of the cluster only.', {
        cure: 'Send the token of the cluster (CLUSTER_TOKEN) in the header X-Cluster-Token.',
      })
    auth.authorize(identity, 'cluster:node')
    return identity
  }

  #context(route: Route, request: FastifyRequest, reply: FastifyReply): Context {
    const { services, hub, uuid } = this.#deps
    const asked = request.asked ?? this.#ask(request)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    return {
      identity: asked.identity,
      known: asked.identity !== NOBODY,
      params: request.params,
      query: request.query,
      body: request.body,
      ifMatch: route.ifMatch ? request.headers['if-match'] : undefined,
      services,
      hub,
      credentials: asked.credentials,
      signal: gone.signal,
      uuid,
      openApi: () => this.#app.swagger(),
    }
  }

  #notFound(request: FastifyRequest): HubError {
    const path = pathOf(request)
    const allowed = methodsOf(this.#routes, path)
    if (allowed.length > 0)
      return new HubError('request.method-not-allowed', `${request.method} does not work here.`, {
        data: { allow: allowed.join(', ') },
        cure: `Use ${allowed.join(', ')}.`,
      })
    return new HubError('route.unknown', `There is nothing at ${path.slice(0, 200)}.`, {
      cure: '/api/openapi.json lists what there is.',
    })
  }

  #refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const known = asHubError(error)
    if (known.code === 'internal')
      this.#deps.log.error(
        { err: error, requestId: request.id, path: pathOf(request) },
        'an API request failed',
      )
    const { status, headers, body } = failureOf(error, request.id, this.#deps.harmless)
    void reply.code(status).headers(headers).type(JSON_TYPE).send(body)
  }

  /** What the router itself cannot read goes past the hooks; whoever is unknown learns nothing here either. */
  async #refuseUnrouted(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const asked = this.#ask(request)
    const failed = await this.#deps.services.auth.identify(asked.credentials).then(
      (identity) => {
        asked.identity = identity
        return error
      },
      (refusal: unknown) => refusal,
    )
    this.#sendRaw(reply.raw, failed, asked.id)
    this.#remember(asked, { route: undefined, request, status: reply.raw.statusCode })
  }

  #sendRaw(response: ServerResponse, error: unknown, id: string): void {
    const { status, headers, body } = failureOf(error, id, this.#deps.harmless)
    const bytes = Buffer.from(JSON.stringify(body))
    response.writeHead(status, {
      'content-type': JSON_TYPE,
      'content-length': bytes.length,
      'x-request-id': id,
      ...SAFETY,
      ...headers,
    })
    response.end(bytes)
  }

  #remember(
    asked: Asked,
    { route, request, status }: { route: Route | undefined; request: FastifyRequest; status: number },
  ): void {
    const { clock, recorder } = this.#deps
    record(recorder, {
      route,
      identity: asked.identity,
      method: request.method,
      path: pathOf(request),
      params: request.params,
      body: request.body,
      status,
      startedAt: asked.at,
      durationMs: Math.round(clock.monotonic() - asked.started),
      ip: asked.credentials.ip,
      userAgent: request.headers['user-agent'],
      requestId: asked.id,
    })
  }
}

const JSON_TYPE = 'application/json; charset=utf-8'
const SAFETY = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

function send(reply: FastifyReply, outcome: Outcome): FastifyReply {
  if ('stream' in outcome) {
    if (outcome.filename !== undefined)
      void reply.header('content-disposition', `attachment; filename="${outcome.filename}"`)
    return reply.type(outcome.contentType).send(Readable.from(outcome.stream))
  }
  if (outcome.status !== undefined) void reply.code(outcome.status)
  if (!('plain' in outcome)) {
    if (outcome.etag !== undefined) void reply.header('etag', outcome.etag)
    if (outcome.setCookie !== undefined) void reply.header('set-cookie', outcome.setCookie)
  }
  return reply.type(JSON_TYPE).send(bodyOf(outcome))
}

/** The client's own id for its request, if it is one that logs can bear. */
function requestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:-]{1,100}$/.test(header) ? header : undefined
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url
}
