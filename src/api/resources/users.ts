import type { UserChanges, UserView } from '../../access/users.ts'
import { HubError } from '../../domain/errors.ts'
import { nothing } from '../contract/shared.ts'
import * as contract from '../contract/users.ts'
import { type Route, route } from '../route.ts'

/** The people who may log in. */
export const userRoutes: readonly Route[] = [
  route({
    name: 'users.list',
    method: 'GET',
    path: '/api/users',
    permission: 'users:manage',
    summary: 'All users',
    answer: contract.user.array(),
    handle: async ({ services }) => ({ data: (await services.users.list()).map(viewOf) }),
  }),
  route({
    name: 'users.stats',
    method: 'GET',
    path: '/api/users-stats',
    permission: 'users:manage',
    summary: 'How many users there are',
    answer: contract.userStats,
    handle: async ({ services }) => {
      const users = await services.users.list()
      const adminUsers = users.filter(({ role }) => role === 'admin').length
      return { data: { totalUsers: users.length, adminUsers, regularUsers: users.length - adminUsers } }
    },
  }),
  route({
    name: 'users.get',
    method: 'GET',
    path: '/api/users/:username',
    permission: 'users:manage',
    summary: 'One user',
    params: contract.userParams,
    answer: contract.user,
    handle: async ({ services, params: { username } }) => {
      const user = await services.users.find(username)
      if (!user)
        throw new HubError('resource.missing', `There is no user ${JSON.stringify(username)}.`, {
          cure: 'GET /api/users lists them.',
        })
      return { data: viewOf(user) }
    },
  }),
  route({
    name: 'users.create',
    method: 'POST',
    path: '/api/users',
    permission: 'users:manage',
    summary: 'Add a user',
    body: contract.newUser,
    answer: contract.user,
    statuses: [201],
    audit: 'user:{username}',
    handle: async ({ services, body }) => {
      const { username, password, isAdmin, email, fullName } = body
      const role = isAdmin ? 'admin' : 'user'
      const user = await services.users.create({ username, password, role, email, fullName })
      return { data: viewOf(user), message: 'The user was added.', status: 201 }
    },
  }),
  route({
    name: 'users.update',
    method: 'PUT',
    path: '/api/users/:username',
    permission: 'users:manage',
    summary: 'Change what is given of a user; the rest stays',
    params: contract.userParams,
    body: contract.userUpdate,
    answer: contract.user,
    audit: 'user:{username}',
    handle: async ({ services, params, body }) => {
      const password = body.newPassword ?? body.password
      const changes: UserChanges = {
        ...(password === undefined ? {} : { password }),
        ...(body.isAdmin === undefined ? {} : { role: body.isAdmin ? 'admin' : 'user' }),
        ...(body.status === undefined ? {} : { status: body.status }),
        ...(body.email === undefined ? {} : { email: body.email ?? undefined }),
        ...(body.fullName === undefined ? {} : { fullName: body.fullName ?? undefined }),
      }
      const user = await services.users.update(params.username, changes)
      return { data: viewOf(user), message: 'The user was changed.' }
    },
  }),
  route({
    name: 'users.delete',
    method: 'DELETE',
    path: '/api/users/:username',
    permission: 'users:manage',
    summary: 'Remove a user, with their logins and keys',
    params: contract.userParams,
    answer: nothing,
    audit: 'user:{username}',
    handle: async ({ services, params }) => {
      await services.users.remove(params.username)
      return { message: 'The user was removed.' }
    },
  }),
]

/** Member by member: what a record gets one day is not shown by itself. */
function viewOf({ username, role, status, origin, email, fullName, createdAt, lastLoginAt }: UserView) {
  return {
    username,
    isAdmin: role === 'admin',
    role,
    status,
    origin,
    email,
    fullName,
    createdAt,
    lastLoginAt,
  }
}
