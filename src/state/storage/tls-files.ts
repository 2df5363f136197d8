import { getCACertificates } from 'node:tls'
import { checkPair, readCertificates, readPem } from '../pem/pem-files.ts'
import type { DatabaseTls, PemOption } from './database-tls.ts'

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
    ...(ca ? { ca: ca === 'system' ? getCACertificates('system') : await readCertificates(fileOf(ca)) } : {}),
    ...(own ? await readPair(own.cert, own.key) : {}),
  }
}

async function readPair(cert: PemOption, key: PemOption): Promise<{ cert: string; key: string }> {
  const [certText, keyText] = await Promise.all([readPem(fileOf(cert)), readPem(fileOf(key))])
  const pair = { cert: certText, key: keyText }
  checkPair(pair, { cert: placeOf(cert), key: fileOf(key).name })
  return pair
}

function fileOf(option: PemOption) {
  return { path: option.path, name: `For TLS with the database, ${placeOf(option)}` }
}

function placeOf({ option, path }: PemOption): string {
  return `${path} (${option})`
}
