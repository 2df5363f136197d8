import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, getCACertificates } from 'node:tls'
import { HubError, messageOf } from '../../domain/errors.ts'
import type { DatabaseTls, PemFile } from './database-tls.ts'

/** What the drivers of both engines hand to `node:tls`. */
export interface TlsMaterial {
  rejectUnauthorized: boolean
  ca?: string | string[]
  cert?: string
  key?: string
}

/** @throws HubError `settings.invalid` for files that cannot be read, are no PEM files, or do not go together */
export async function readTlsFiles({ verify, ca, own }: DatabaseTls): Promise<TlsMaterial> {
  return {
    rejectUnauthorized: verify !== 'nothing',
    ...(ca ? { ca: ca === 'system' ? getCACertificates('system') : await readAuthorities(ca) } : {}),
    ...(own ? await readPair(own.cert, own.key) : {}),
  }
}

/** What is no certificate would be passed over in silence, and every connection refused. */
async function readAuthorities(file: PemFile): Promise<string> {
  const text = await read(file)
  try {
    new X509Certificate(text)
    return text
  } catch (cause) {
    throw unusable(`${nameOf(file)} holds no certificate that can be read`, cause)
  }
}

async function readPair(certFile: PemFile, keyFile: PemFile): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)])
  try {
    createSecureContext({ cert, key })
    return { cert, key }
  } catch (cause) {
    throw unusable(`${nameOf(keyFile)} cannot be used with ${nameOf(certFile)}`, cause)
  }
}

async function read(file: PemFile): Promise<string> {
  try {
    return await readFile(file.path, 'utf8')
  } catch (cause) {
    throw unusable(`${nameOf(file)} cannot be read`, cause)
  }
}

function nameOf({ option, path }: PemFile): string {
  return `${path} (${option})`
}

function unusable(what: string, cause: unknown): HubError {
  return new HubError('settings.invalid', `For TLS with the database, ${what}: ${messageOf(cause)}.`, {
    cause,
    cure: 'Check the path and the rights of the file; it must be a PEM file, a key one without a passphrase.',
  })
}
