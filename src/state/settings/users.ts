import type { DeclaredUser } from '../../domain/server-spec.ts'
import { isSealed } from '../secrets/secret-box.ts'
import { resolveSecret, type Sources } from './expand.ts'
import type { Complaints } from './keys.ts'
import type { UserInput } from './schema.ts'

/** The hashes that a user may be declared with: bcrypt, and argon2id as a PHC string. */
const KNOWN_HASH = /^(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2id\$.+)$/

/** The users of the document who can log in; what is wrong with the others is said. */
export function interpretUsers(
  users: readonly UserInput[],
  sources: Sources,
  complaints: Complaints,
): DeclaredUser[] {
  const declared = new Map<string, DeclaredUser>()
  for (const [index, input] of users.entries()) {
    const path = ['users', index]
    const username = input.username.trim()
    if (declared.has(username))
      throw complaints.invalid(path, `there are two users named ${JSON.stringify(username)}`)
    const passwordHash = readHash(input.password, sources, (error) =>
      complaints.unreadable([...path, 'password'], error),
    )
    if (!KNOWN_HASH.test(passwordHash)) {
      complaints.warn(
        [...path, 'password'],
        'this is no bcrypt or argon2id hash; the hub goes without this user',
      )
      continue
    }
    const role = input.isAdmin ? 'admin' : 'user'
    declared.set(username, { username, passwordHash, role, email: input.email || undefined })
  }
  return [...declared.values()]
}

/** A hash is full of "$", which stands for itself here: only what is sealed or wholly a reference is looked up. */
function readHash(text: string, sources: Sources, unreadable: (error: unknown) => Error): string {
  if (!isSealed(text) && !/^\$\{[^}]*\}$/.test(text)) return text
  try {
    return resolveSecret(text, sources).text
  } catch (error) {
    throw unreadable(error)
  }
}
