import type { KeyScope } from '../../src/domain/key-scope.ts'
import { ANONYMOUS, type Principal, type Rights } from '../../src/domain/principal.ts'

/** The rights of the hub's own keys: all there is. */
export const EVERYTHING: Rights = { scope: { kind: 'all' }, viewer: undefined }

export interface ScopeParts {
  readonly groups?: readonly string[]
  readonly servers?: readonly string[]
  readonly tools?: Readonly<Record<string, readonly string[]>>
}

export function someScope({ groups = [], servers = [], tools = {} }: ScopeParts): KeyScope {
  return {
    kind: 'some',
    groups: new Set(groups),
    servers: new Set(servers),
    tools: new Map(Object.entries(tools).map(([server, names]) => [server, new Set(names)])),
  }
}

/** The rights of a key that names these, in nobody's name. */
export function keyRights(parts: ScopeParts): Rights {
  return { scope: someScope(parts), viewer: undefined }
}

/** The rights of a user, or of a key of theirs that opens all they may see. */
export function userRights(viewer: string, scope: KeyScope = { kind: 'all' }): Rights {
  return { scope, viewer }
}

export function principal(id: string, parts: Partial<Principal> = {}): Principal {
  return { ...ANONYMOUS, id, ...parts }
}
