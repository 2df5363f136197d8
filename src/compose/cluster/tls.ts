import { X509Certificate } from 'node:crypto'
import type { ClusterTls } from '../../domain/cluster-settings.ts'
import { checkPair, type PemFile, readCertificates, readPem } from '../../state/pem/pem-files.ts'

/** Contents of PEM files. */
export interface TlsFiles {
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly ca: string | undefined
}

/** @throws HubError `settings.invalid` for files that cannot be read, are no PEM files, or do not go together */
export async function readTlsFiles(tls: ClusterTls | undefined): Promise<TlsFiles | undefined> {
  if (!tls) return undefined
  const { certFile, keyFile, caFile } = tls
  const [cert, key, ca] = await Promise.all([
    certFile === undefined ? undefined : readCertificates(fileOf('certificate', certFile)),
    keyFile === undefined ? undefined : readPem(fileOf('key', keyFile)),
    caFile === undefined ? undefined : readCertificates(fileOf('authorities', caFile)),
  ])
  if (cert !== undefined && key !== undefined)
    checkPair({ cert, key }, { cert: `the certificate ${certFile}`, key: `The cluster's TLS key ${keyFile}` })
  return { cert, key, ca }
}

function fileOf(what: string, path: string): PemFile {
  return { path, name: `The file of the cluster's TLS ${what}, ${path},` }
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
