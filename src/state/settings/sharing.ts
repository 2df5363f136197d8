import type { Shareable, Visibility } from '../../domain/visibility.ts'

export interface SharingInput {
  readonly owner?: string | undefined
  readonly visibility?: Visibility | undefined
  readonly sharedWithUsers?: readonly string[] | null | undefined
}

/** What nobody owns was written by hand for everybody; what somebody has made is theirs until they say otherwise. */
export function sharingOf({ owner, visibility, sharedWithUsers }: SharingInput): Shareable {
  return {
    owner: owner || undefined,
    visibility: visibility ?? (owner ? 'private' : 'public'),
    sharedWithUsers: sharedWithUsers ?? [],
  }
}
