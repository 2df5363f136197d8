import { type Identity, loginPrincipal } from '../../access/permissions.ts'
import { HubError } from '../../domain/errors.ts'
import * as contract from '../contract/auth.ts'
import { nothing } from '../contract/shared.ts'
import { allows } from '../identity.ts'
import { PERMISSIONS } from '../permissions.ts'
import type { LoginGrant } from '../ports.ts'
import { type Context, type Route, route, type Success } from '../route.ts'

/** Logging in and out, and the first start. */
export const authRoutes: readonly Route[] = [
  route({
    name: 'auth.login',
    method: 'POST',
    path: '/api/auth/login',
    permission: 'public',
    summary: 'Log in: a cookie for browsers, and the same as a token for x-auth-token',
    body: contract.login,
    answer: nothing,
    beside: contract.loginBeside,
    changes: false,
    audit: 'user:{username}',
    handle: async (context) => {
      const { services, body, credentials } = context
      const { username, password } = body
      const grant = await services.logins.login({ username, password, credentials })
      return granted(context, grant, 'Logged in.')
    },
  }),
  route({
    name: 'auth.logout',
    method: 'POST',
    path: '/api/auth/logout',
    permission: 'self',
    summary: 'End the login that this request comes with',
    answer: nothing,
    changes: false,
    audit: 'user:{actor}',
    handle: async ({ services, credentials }) => {
      return { message: 'Logged out.', setCookie: await services.logins.logout(credentials) }
    },
  }),
  route({
    name: 'auth.user',
    method: 'GET',
    path: '/api/auth/user',
    permission: 'self',
    summary: 'Who you are, and what you may do',
    answer: nothing,
    beside: contract.whoBeside,
    handle: async (context) => ({ beside: { user: personOf(context, context.identity) } }),
  }),
  route({
    name: 'auth.change-password',
    method: 'POST',
    path: '/api/auth/change-password',
    permission: 'self',
    summary: 'Change your own password; your other logins end',
    body: contract.changePassword,
    answer: nothing,
    audit: 'user:{actor}',
    handle: async ({ services, identity, body, credentials }) => {
      const { currentPassword: current, newPassword: next } = body
      if (identity.kind !== 'login' || identity.username === undefined)
        throw new HubError('access.denied', 'Only somebody who has logged in has a password to change.', {
          cure: 'Log in with name and password; keys are changed at /api/auth/keys.',
        })
      const { username, role, tokenHash } = identity
      await services.logins.changePassword({ username, role, tokenHash }, { current, next, credentials })
      return { message: 'The password was changed.' }
    },
  }),
  route({
    name: 'setup.state',
    method: 'GET',
    path: '/api/auth/setup',
    permission: 'public',
    summary: 'Whether the first administrator is still to be made',
    answer: contract.setupState,
    handle: async ({ services }) => ({ data: { pending: await services.logins.setupPending() } }),
  }),
  route({
    name: 'setup.complete',
    method: 'POST',
    path: '/api/auth/setup',
    permission: 'public',
    summary: 'Make the first administrator, with the token of the setup link',
    body: contract.setup,
    answer: nothing,
    beside: contract.loginBeside,
    audit: 'user:{username}',
    handle: async (context) => {
      const { services, body, credentials } = context
      const grant = await services.logins.completeSetup({ ...body, credentials })
      return granted(context, grant, 'The first administrator was made.')
    },
  }),
]

function granted(context: Context, grant: LoginGrant, message: string): Success {
  const { username, role, token, setCookie } = grant
  const principal = loginPrincipal(username, role)
  const facts = { username, keyId: undefined, viewer: principal.viewer, principal }
  // The login is so new that nothing but its rights is asked for here.
  const identity: Identity = { kind: 'login', role, tokenHash: '', ...facts }
  return { message, beside: { token, user: personOf(context, identity) }, setCookie }
}

function personOf({ services: { auth } }: Context, identity: Identity) {
  const permissions = PERMISSIONS.filter((permission) => allows(auth, identity, permission))
  return {
    username: identity.username ?? '',
    isAdmin: permissions.includes('users:manage'),
    permissions,
  }
}
