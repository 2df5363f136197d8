import { HubError } from '../../domain/errors.ts'
import { requireStrongSecret } from '../secrets/secret-strength.ts'
import type { ClusterReader } from './cluster-reader.ts'
import type { ClusterSources, Found } from './cluster-source.ts'
import { type Parse, readPath } from './cluster-values.ts'
import { secretFileReader } from './secret-files.ts'

const SHORTEST = 8
const LONGEST = 4_096
const MOST_OLD = 8

/**
 * The cluster's token, given as such or as the path of a file.
 * @param whole whether to look at flags and variables too; without it a token of theirs is left alone
 * @throws HubError `settings.invalid` or `secret.unreadable`; never with a token in its text
 */
export function readClusterToken(
  reader: ClusterReader,
  sources: ClusterSources,
  whole: boolean,
): string | undefined {
  reader.origins.set('token', { origin: 'default', name: '' })
  const chosen = reader.attempt(() => chooseToken(reader))
  if (!chosen || (!whole && !chosen.found.path)) return undefined
  const { key, found } = chosen
  if (found.path && reader.strict) reader.source.warnOfRivals(key)
  const given = key === 'tokenFile' ? reader.attempt(() => fromFile(found, reader, sources)) : found.value
  if (given === undefined) return undefined
  const parsed = readSecretText(given)
  if (!('value' in parsed)) {
    reader.complain(reader.source.wrong(found, parsed.why, parsed.cure))
    return undefined
  }
  reader.note('token', found)
  warnIfWeak(reader, found, parsed.value)
  return parsed.value
}

/** Tokens that a coordinator goes on accepting. @throws HubError `settings.invalid` */
export const readOldTokens: Parse<readonly string[]> = (given) => {
  const texts: readonly unknown[] =
    typeof given === 'string' ? given.split(',') : Array.isArray(given) ? given : [undefined]
  const tokens: string[] = []
  for (const text of texts) {
    const parsed = readSecretText(text)
    if (!('value' in parsed)) return parsed
    tokens.push(parsed.value)
  }
  if (tokens.length <= MOST_OLD) return { value: tokens }
  return { why: `there are ${tokens.length} old tokens`, cure: `Keep ${MOST_OLD} at most.` }
}

interface Chosen {
  readonly key: 'token' | 'tokenFile'
  readonly found: Found
}

/** Where the token is given. In one place it may be given as such or as a file. */
function chooseToken({ source }: ClusterReader): Chosen | undefined {
  for (const place of ['inFlags', 'inEnvironment', 'inDocument'] as const) {
    const token = source[place]('token')
    const file = source[place]('tokenFile')
    if (token && file)
      throw source.wrong(file, `${token.origin.name} gives a token too`, 'Remove one of them.')
    if (token) return { key: 'token', found: token }
    if (file) return { key: 'tokenFile', found: file }
  }
  return undefined
}

function fromFile(found: Found, reader: ClusterReader, { readFile }: ClusterSources): string {
  const path = readPath(found.value)
  if (!('value' in path)) throw reader.source.wrong(found, path.why, path.cure)
  // The document can be changed over the API, by people who may not read every file of this machine.
  const read = found.path ? readFile : secretFileReader()
  const text = read?.(path.value)
  if (text !== undefined) return text
  throw reader.source.wrong(
    found,
    `the file ${path.value} cannot be read`,
    found.path
      ? 'It must be a file of 64 KiB at most, under /run/secrets or in a folder that SECRET_FILE_DIRS names.'
      : 'It must be a file of 64 KiB at most that the hub may read.',
  )
}

const readSecretText: Parse<string> = (given) => {
  const text = typeof given === 'string' ? given.trim() : ''
  const cure = 'Give a random value, such as "openssl rand -base64 32" prints; all nodes need the same.'
  if (text.length >= SHORTEST && text.length <= LONGEST && !/\p{Cc}/u.test(text)) return { value: text }
  return { why: `a token needs ${SHORTEST} to ${LONGEST} visible characters`, cure }
}

/** The samples of the documents go on working, so that they can be tried; whoever tries them is told. */
function warnIfWeak(reader: ClusterReader, found: Found, token: string): void {
  if (!reader.strict) return
  try {
    requireStrongSecret(found.origin.name, token)
  } catch (error) {
    if (!(error instanceof HubError)) throw error
    reader.warnings.push(`${error.message} Anybody who guesses it can join the cluster. ${error.cure ?? ''}`)
  }
}
