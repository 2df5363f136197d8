import type { Principal } from './principal.ts'

const PREFIX = { user: 'user:', principal: 'principal:' }

/**
 * Under which id a user's sessions hold what they share under isolation `user`. Who has no username shares with those who have the same
 * credential. No session id looks like it.
 */
export function userHolderId({ id, username }: Pick<Principal, 'id' | 'username'>): string {
  return username === undefined ? `${PREFIX.principal}${id}` : `${PREFIX.user}${username}`
}

/** Whether a holder is a user, and not a single session. */
export function isUserHolder(holderId: string): boolean {
  return holderId.startsWith(PREFIX.user) || holderId.startsWith(PREFIX.principal)
}
