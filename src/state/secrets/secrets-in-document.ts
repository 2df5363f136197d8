import { HubError, toHubError } from '../../domain/errors.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { counterparts } from '../json/item-identity.ts'
import type { JsonPath } from '../json/json-path.ts'
import { isSealed, type SecretBox } from './secret-box.ts'
import { isReference, isSecretPlace, MASK, maskUrls, urlSecrets } from './secret-places.ts'

export type Document = Record<string, unknown>

export interface SealOptions {
  /** The document as it was: the sealed text of secrets that did not change is taken from it. */
  readonly previous?: Document | undefined
  /** Leaves secrets open that stand open in `previous`: their owner wanted them so. */
  readonly keepOpen?: boolean
  /** Tell references from passwords with a dollar sign. */
  readonly variables?: Readonly<Record<string, string | undefined>>
}

/** The document with every secret sealed. References to variables and files stay, and so does what is sealed already. */
export function sealSecrets(document: Document, box: SecretBox, options: SealOptions = {}): Document {
  const { previous, keepOpen = false, variables } = options
  return mapLeaves(document, previous, (leaf, before, path) => {
    if (typeof leaf !== 'string' || leaf === '' || !isSecretPlace(path)) return leaf
    if (isSealed(leaf) || isReference(leaf, variables)) return leaf
    if (keepOpen && leaf === before) return leaf
    return isSealed(before) && tryOpen(before, box) === leaf ? before : box.seal(leaf)
  })
}

/**
 * The document with every secret open.
 * @throws HubError `secret.unreadable` that names the place
 */
export function openSecrets(document: Document, box: SecretBox): Document {
  return mapLeaves(document, undefined, (leaf, _before, path) => {
    if (!isSealed(leaf) || !isSecretPlace(path)) return leaf
    try {
      return box.open(leaf)
    } catch (error) {
      const { message, cure, data } = toHubError(error)
      throw new HubError('secret.unreadable', `${path.join('.')}: ${message}`, {
        cause: error,
        data,
        ...(cure === undefined ? {} : { cure }),
      })
    }
  })
}

/** The document with every secret open that can be opened; the others stay sealed. */
export function openReadable(document: Document, box: SecretBox): Document {
  return mapLeaves(document, undefined, (leaf, _before, path) =>
    isSealed(leaf) && isSecretPlace(path) ? (tryOpen(leaf, box) ?? leaf) : leaf,
  )
}

/** The document with every secret sealed under the box's present key; what cannot be opened stays as it is. */
export function resealSecrets(document: Document, box: SecretBox): Document {
  return mapLeaves(document, undefined, (leaf, _before, path) => {
    if (!isSealed(leaf) || !isSecretPlace(path) || box.isCurrent(leaf)) return leaf
    const open = tryOpen(leaf, box)
    return open === undefined ? leaf : box.seal(open)
  })
}

/** The document as people may see it: each secret is `MASK`; what is empty or a reference is shown. */
export function maskSecrets(document: Document): Document {
  return mapLeaves(document, undefined, (leaf, _before, path) => {
    if (isSealed(leaf)) return MASK
    if (typeof leaf === 'string' && !isSecretPlace(path)) return maskUrls(leaf)
    return isShownSecret(leaf, path) ? MASK : leaf
  })
}

/**
 * The reverse of `maskSecrets` for a document that somebody edited: each `MASK` becomes what is stored.
 * @throws HubError `settings.invalid` for a mask where nothing is stored
 */
export function restoreMasked(edited: Document, stored: Document): Document {
  return mapLeaves(edited, stored, (leaf, before, path) => {
    if (typeof leaf !== 'string' || !leaf.includes(MASK)) return leaf
    if (isSecretPlace(path)) {
      if (leaf !== MASK) return leaf
      if (isSealed(before) || isShownSecret(before, path)) return before
      throw nothingStored(path)
    }
    if (!urlSecrets(leaf).includes(MASK)) return leaf
    if (typeof before === 'string' && maskUrls(before) === leaf) return before
    throw nothingStored(path)
  })
}

/** Shorter secrets would make holes into texts that have nothing to do with them. */
const SHORTEST_KNOWN = 6

/** The secrets of an opened document, by which to find them in logs. */
export function knownSecrets(document: Document): ReadonlySet<string> {
  const known = new Set<string>()
  const add = (secret: string) => {
    if (secret.length >= SHORTEST_KNOWN) known.add(secret)
  }
  mapLeaves(document, undefined, (leaf, _before, path) => {
    if (typeof leaf === 'string' && !isSecretPlace(path)) for (const secret of urlSecrets(leaf)) add(secret)
    if (!isShownSecret(leaf, path) || isSealed(leaf)) return leaf
    add(String(leaf))
    // "Bearer abc": the token shows up without its scheme too.
    const [, credential] = /^[A-Za-z]+ +(\S+)$/.exec(String(leaf)) ?? []
    if (credential !== undefined) add(credential)
    return leaf
  })
  return known
}

/** Whether this is a secret with a value of its own. People write PINs as numbers; switches are none. */
function isShownSecret(leaf: unknown, path: JsonPath): boolean {
  if (typeof leaf !== 'string' && typeof leaf !== 'number') return false
  return leaf !== '' && isSecretPlace(path) && !isReference(String(leaf))
}

function tryOpen(sealed: string, box: SecretBox): string | undefined {
  try {
    return box.open(sealed)
  } catch {
    // Whoever needs the value gets the reason from `openSecrets`.
    return undefined
  }
}

function nothingStored(path: JsonPath): HubError {
  return new HubError(
    'settings.invalid',
    `${path.join('.')}: "${MASK}" stands for a stored value, and there is none.`,
    {
      data: { path },
      cure: 'Give the value itself, or leave the place out.',
    },
  )
}

/** `change` for everything that is no object or list, with what stands in its place in `other`. */
function mapLeaves(
  document: Document,
  other: Document | undefined,
  change: (leaf: unknown, before: unknown, path: JsonPath) => unknown,
): Document {
  const map = (value: unknown, before: unknown, path: JsonPath): unknown => {
    if (Array.isArray(value)) {
      const matches = counterparts(value, Array.isArray(before) ? before : [])
      return value.map((item: unknown, index) => map(item, matches[index], [...path, index]))
    }
    if (!isObject(value)) return change(value, before, path)
    return mapMembers(value, (name, member) =>
      map(member, isObject(before) && Object.hasOwn(before, name) ? before[name] : undefined, [
        ...path,
        name,
      ]),
    )
  }
  return mapMembers(document, (name, member) =>
    map(member, other && Object.hasOwn(other, name) ? other[name] : undefined, [name]),
  )
}

function mapMembers(object: Document, change: (name: string, member: unknown) => unknown): Document {
  return Object.fromEntries(Object.entries(object).map(([name, member]) => [name, change(name, member)]))
}
