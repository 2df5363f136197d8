import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { ClusterTls } from '../../domain/cluster-settings.ts'
import { HubError, messageOf } from '../../domain/errors.ts'

/** Contents of PEM files. */
export interface TlsFiles {
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly ca: string | undefined
}

/** @throws HubError `settings.invalid` for files that cannot be read, are no PEM files, or do not go together */
export async function readTlsFiles(tls: ClusterTls | undefined): Promise<TlsFiles | undefined> {
  if (!tls) return undefined
  const [cert, key, ca] = await Promise.all([
    read('certificate', tls.certFile),
    read('key', tls.keyFile),
    read('authorities', tls.caFile),
  ])
  checkCertificate('certificate', tls.certFile, cert)
  checkCertificate('authorities', tls.caFile, ca)
  checkPair(tls, cert, key)
  return { cert, key, ca }
}

/** A sentence for the log where this node's own certificate is of no use today: the other nodes will refuse it. */
export function tlsWarning(files: TlsFiles | undefined, now: number): string | undefined {
  if (files?.cert === undefined) return undefined
  const { validFromDate, validToDate } = new X509Certificate(files.cert)
  const cure = 'Renew it (CLUSTER_TLS_CERT) and start the node anew: other nodes do not take it.'
  if (now > validToDate.getTime())
    return `The TLS certificate of this node has expired on ${validToDate.toISOString()}. ${cure}`
  if (now < validFromDate.getTime())
    return `The TLS certificate of this node counts only from ${validFromDate.toISOString()} on. Check the clock, or the certificate (CLUSTER_TLS_CERT).`
  return undefined
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

/** An authority that cannot be read would be passed over in silence, and every connection refused. */
function checkCertificate(what: string, path: string | undefined, text: string | undefined): void {
  if (text === undefined) return
  try {
    new X509Certificate(text)
  } catch (cause) {
    throw new HubError(
      'settings.invalid',
      `The file of the cluster's TLS ${what}, ${path}, holds no certificate that can be read: ${messageOf(cause)}.`,
      { cause, cure: 'Give a PEM file: it begins with -----BEGIN CERTIFICATE-----.' },
    )
  }
}

function checkPair(
  { certFile, keyFile }: ClusterTls,
  cert: string | undefined,
  key: string | undefined,
): void {
  if (cert === undefined || key === undefined) return
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    throw new HubError(
      'settings.invalid',
      `The cluster's TLS key ${keyFile} cannot be used with the certificate ${certFile}: ${messageOf(cause)}.`,
      { cause, cure: 'Give the key that belongs to the certificate, as a PEM file without a passphrase.' },
    )
  }
}
