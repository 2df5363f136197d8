import { HubError } from '../../domain/errors.ts'
import type { ChangeReason, Revision } from '../../domain/settings-revision.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { checksumOf } from '../json/canonical.ts'
import type { SecretBox } from '../secrets/secret-box.ts'
import { type Document, openReadable, sealSecrets } from '../secrets/secrets-in-document.ts'
import { diffDocuments } from './diff.ts'
import type { Variables } from './expand.ts'

/** What making a revision needs to know. */
export interface Drafting {
  readonly box: SecretBox
  readonly variables: Variables
}

/**
 * The revision that `document` makes after `latest`; undefined when nothing has changed. Its document has every secret
 * sealed, with the text of the revision before where the secret is the same.
 * @param evenUnchanged makes one in any case, such as for secrets that were sealed anew
 */
export function draftRevision(
  latest: Revision | undefined,
  document: Document,
  { author, reason, at }: ChangeReason & { readonly at: number },
  { box, variables }: Drafting,
  evenUnchanged = false,
): Revision | undefined {
  const previous = latest && documentOf(latest)
  const sealed = sealSecrets(document, box, { previous, variables })
  const changes = diffDocuments(openReadable(previous ?? {}, box), openReadable(sealed, box))
  if (changes.length === 0 && latest && !evenUnchanged) return undefined
  return {
    number: (latest?.number ?? 0) + 1,
    at,
    author,
    reason,
    changes,
    checksum: checksumOf(sealed),
    document: JSON.stringify(sealed),
  }
}

/** @throws HubError `storage.invalid` for a revision that holds no document */
export function documentOf(revision: Revision): Document {
  const document: unknown = JSON.parse(revision.document)
  if (isObject(document)) return document
  throw new HubError('storage.invalid', `Revision ${revision.number} of the settings holds no document.`)
}
