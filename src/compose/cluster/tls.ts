import { readFile } from 'node:fs/promises'
import type { ClusterTls } from '../../domain/cluster-settings.ts'
import { HubError, messageOf } from '../../domain/errors.ts'

/** Contents of PEM files. */
export interface TlsFiles {
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly ca: string | undefined
}

/** @throws HubError `settings.invalid` for a file that cannot be read */
export async function readTlsFiles(tls: ClusterTls | undefined): Promise<TlsFiles | undefined> {
  if (!tls) return undefined
  const [cert, key, ca] = await Promise.all([
    read('certificate', tls.certFile),
    read('key', tls.keyFile),
    read('authorities', tls.caFile),
  ])
  return { cert, key, ca }
}

async function read(what: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new HubError(
      'settings.invalid',
      `The file of the cluster's TLS ${what}, ${path}, cannot be read: ${messageOf(cause)}.`,
      { cause, cure: 'Check the path and the rights of the file; it is a PEM file.' },
    )
  }
}
