import type { z } from 'zod'
import { checkKeyBounds, checkKeyWish, type Identity } from '../../access/permissions.ts'
import { HubError } from '../../domain/errors.ts'
import * as contract from '../contract/keys.ts'
import { nothing } from '../contract/shared.ts'
import { actorOf, allows, requireFullScope } from '../identity.ts'
import { describeScope, scopeOf } from '../key-scope.ts'
import type { KeyInput, KeyView } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'

/** Keys for MCP clients and scripts: one's own, and with keys:manage everybody's. */
export const keyRoutes: readonly Route[] = [
  route({
    name: 'keys.list',
    method: 'GET',
    path: '/api/auth/keys',
    permission: 'keys:own',
    summary: 'Your keys; with keys:manage, all keys',
    answer: contract.key.array(),
    handle: async (context) => {
      const keys = await context.services.keys.list()
      return { data: keys.filter((key) => mayManage(context, key)).map(viewOf) }
    },
  }),
  route({
    name: 'keys.get',
    method: 'GET',
    path: '/api/auth/keys/:id',
    permission: 'keys:own',
    summary: 'One key',
    params: contract.keyParams,
    answer: contract.key,
    handle: async (context) => ({ data: viewOf(await find(context)) }),
  }),
  route({
    name: 'keys.create',
    method: 'POST',
    path: '/api/auth/keys',
    permission: 'keys:own',
    summary: 'Make a key; its token is shown in this answer only',
    body: contract.newKey,
    answer: contract.madeKey,
    statuses: [201],
    audit: 'key:{name}',
    handle: async (context) => {
      const { services, identity, body } = context
      const owner = body.owner === undefined ? identity.username : (body.owner ?? undefined)
      const changes = changesOf(context, body, owner)
      const { key, token } = await services.keys.create({
        enabled: true,
        expiresAt: undefined,
        requestsPerMinute: undefined,
        maxConcurrent: undefined,
        rest: 'none',
        grants: [],
        scope: { kind: 'all' },
        ...changes,
        name: body.name,
        owner,
        createdBy: actorOf(identity),
      })
      const message = 'The key was made. Keep its token: it is not shown again.'
      return { data: { ...viewOf(key), token }, message, status: 201 }
    },
  }),
  route({
    name: 'keys.update',
    method: 'PUT',
    path: '/api/auth/keys/:id',
    permission: 'keys:own',
    summary: 'Change what is given of a key; the rest stays',
    params: contract.keyParams,
    body: contract.keyUpdate,
    answer: contract.key,
    audit: 'key:{id}',
    handle: async (context) => {
      const before = await find(context)
      const changes = changesOf(context, context.body, before.owner)
      checkKeyBounds(context.identity, before, { ...before, ...changes })
      const key = await context.services.keys.update(before.id, changes)
      return { data: viewOf(key), message: 'The key was changed.' }
    },
  }),
  route({
    name: 'keys.revoke',
    method: 'DELETE',
    path: '/api/auth/keys/:id',
    permission: 'keys:own',
    summary: 'Revoke a key; its next request is refused',
    params: contract.keyParams,
    answer: nothing,
    audit: 'key:{id}',
    handle: async (context) => {
      const { id } = await find(context)
      await context.services.keys.revoke(id)
      return { message: 'The key was revoked.' }
    },
  }),
]

function mayManage({ services, identity }: Context, key: KeyView): boolean {
  return isOwn(identity, key) || allows(services.auth, identity, 'keys:manage')
}

function isOwn(identity: Identity, key: KeyView): boolean {
  return identity.username !== undefined && key.owner === identity.username
}

/** @throws HubError `resource.missing`, also for a key that is somebody else's */
async function find(context: Context<{ id: string }>): Promise<KeyView> {
  const { services, params } = context
  const key = (await services.keys.list()).find(({ id }) => id === params.id)
  if (key && mayManage(context, key)) return key
  throw new HubError('resource.missing', `There is no key ${JSON.stringify(params.id)}.`, {
    cure: 'GET /api/auth/keys lists them.',
  })
}

/**
 * What is given of a key, in the words of its record.
 * @throws HubError `access.denied` where the key could do more than whoever makes it
 */
function changesOf(
  context: Context,
  body: z.output<typeof contract.keyUpdate>,
  owner: string | undefined,
): Partial<Omit<KeyInput, 'owner'>> {
  requireFullScope(context.identity)
  checkKeyWish(context.identity, { owner, rest: body.rest ?? 'none', grants: body.grants ?? [] })
  const scope = scopeOf(body)
  return {
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.enabled === undefined ? {} : { enabled: body.enabled }),
    ...(body.rest === undefined ? {} : { rest: body.rest }),
    ...(body.grants === undefined ? {} : { grants: body.grants }),
    ...(scope === undefined ? {} : { scope }),
    ...(body.expiresAt === undefined ? {} : { expiresAt: body.expiresAt ?? undefined }),
    ...(body.requestsPerMinute === undefined
      ? {}
      : { requestsPerMinute: body.requestsPerMinute ?? undefined }),
    ...(body.maxConcurrent === undefined ? {} : { maxConcurrent: body.maxConcurrent ?? undefined }),
  }
}

/** Member by member: what a record gets one day is not shown by itself. */
function viewOf(key: KeyView) {
  const { id, name, prefix, owner, enabled, rest, expiresAt, createdAt, createdBy, lastUsedAt } = key
  const { requestsPerMinute, maxConcurrent } = key
  const limits = { requestsPerMinute, maxConcurrent }
  const facts = { id, name, prefix, owner, enabled, rest, expiresAt, createdAt, createdBy, lastUsedAt }
  return { ...facts, ...limits, grants: key.grants ?? [], ...describeScope(key.scope) }
}
