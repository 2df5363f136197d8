/** Who may see a server or a group: its owner (`private`), those it is shared with as well (`group`), everybody (`public`). */
export type Visibility = 'private' | 'group' | 'public'

export interface Shareable {
  /** `undefined`: the hub's own. */
  readonly owner: string | undefined
  readonly visibility: Visibility
  /** Usernames; they count under `group` only. */
  readonly sharedWithUsers: readonly string[]
}

/** What stands in a file by hand, without a word on whose it is. */
export const FOR_EVERYBODY: Shareable = { owner: undefined, visibility: 'public', sharedWithUsers: [] }

/** @param viewer a username; `undefined` sees everything: the hub's own keys, admins, an open hub */
export function mayView(viewer: string | undefined, thing: Shareable): boolean {
  if (viewer === undefined || thing.visibility === 'public' || thing.owner === viewer) return true
  return thing.visibility === 'group' && thing.sharedWithUsers.includes(viewer)
}
