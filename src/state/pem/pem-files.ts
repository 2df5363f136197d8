import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { HubError, messageOf } from '../../domain/errors.ts'

export interface PemFile {
  readonly path: string
  /** The file as the subject of a sentence: an error begins with it. */
  readonly name: string
}

/** @throws HubError `settings.invalid` */
export async function readPem({ path, name }: PemFile): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw unusable(
      `${name} cannot be read`,
      cause,
      'Check the path and the rights of the file; it is a PEM file.',
    )
  }
}

/**
 * One certificate or several. What is none would be passed over in silence, and every connection refused.
 * @throws HubError `settings.invalid`
 */
export async function readCertificates(file: PemFile): Promise<string> {
  const text = await readPem(file)
  try {
    new X509Certificate(text)
    return text
  } catch (cause) {
    throw unusable(
      `${file.name} holds no certificate that can be read`,
      cause,
      'Give a PEM file: it begins with -----BEGIN CERTIFICATE-----.',
    )
  }
}

/**
 * @param names of the key, as in `PemFile`, and of the certificate, as the end of that sentence has it
 * @throws HubError `settings.invalid` for a key that does not belong to the certificate
 */
export function checkPair(
  { cert, key }: { readonly cert: string; readonly key: string },
  names: { readonly cert: string; readonly key: string },
): void {
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    throw unusable(
      `${names.key} cannot be used with ${names.cert}`,
      cause,
      'Give the key that belongs to the certificate, as a PEM file without a passphrase.',
    )
  }
}

function unusable(what: string, cause: unknown, cure: string): HubError {
  return new HubError('settings.invalid', `${what}: ${messageOf(cause)}.`, { cause, cure })
}
