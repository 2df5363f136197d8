import type { ClusterSettings, ClusterTls } from '../../domain/cluster-settings.ts'
import type { ClusterKey } from './cluster-places.ts'
import type { ClusterReader } from './cluster-reader.ts'
import { readPath, readSwitch } from './cluster-values.ts'

/**
 * How links are encrypted; undefined where the settings say nothing of it, or switch it off.
 * @throws HubError `settings.invalid`
 */
export function readTls(reader: ClusterReader): ClusterTls | undefined {
  const enabled = reader.optional('tls.enabled', readSwitch)
  const tls = {
    certFile: reader.optional('tls.certFile', readPath),
    keyFile: reader.optional('tls.keyFile', readPath),
    caFile: reader.optional('tls.caFile', readPath),
    mutual: reader.read('tls.mutual', readSwitch, false),
  }
  const named = tls.certFile ?? tls.keyFile ?? tls.caFile
  return (enabled ?? (named !== undefined || tls.mutual)) ? tls : undefined
}

/** @throws HubError `settings.invalid` for files that do not go together */
export function checkTls(
  reader: ClusterReader,
  { role, tls, coordinators }: Pick<ClusterSettings, 'role' | 'tls' | 'coordinators'>,
): void {
  if (!tls) return
  const { certFile, keyFile, caFile, mutual } = tls
  if (certFile !== undefined && keyFile === undefined)
    refuse(reader, 'tls.certFile', 'a certificate needs its key', 'Give CLUSTER_TLS_KEY ("tlsKey") too.')
  if (keyFile !== undefined && certFile === undefined)
    refuse(reader, 'tls.keyFile', 'a key needs its certificate', 'Give CLUSTER_TLS_CERT ("tlsCert") too.')
  if (role === 'coordinator' && certFile === undefined)
    refuse(
      reader,
      'tls.enabled',
      'a coordinator with TLS needs a certificate and its key',
      'Give CLUSTER_TLS_CERT and CLUSTER_TLS_KEY ("tlsCert", "tlsKey"), or switch TLS off and put a proxy with TLS before it.',
    )
  if (role === 'coordinator' && mutual && caFile === undefined)
    refuse(
      reader,
      'tls.mutual',
      'without an authority no certificate of a worker can be checked',
      'Give CLUSTER_TLS_CA ("tlsCa"): the authority that signs the certificates of the workers.',
    )
  const open = coordinators.find((url) => url.startsWith('http:'))
  if (role === 'worker' && open !== undefined)
    refuse(
      reader,
      'coordinators',
      `TLS is switched on, but ${open} would be reached without it`,
      'Write https:// there, or remove the settings of TLS.',
    )
}

function refuse(reader: ClusterReader, key: ClusterKey, why: string, cure: string): void {
  const keys: readonly ClusterKey[] = [key, 'tls.enabled', 'tls.mutual', 'tls.caFile', 'listen.host']
  const found = keys.map((each) => reader.noted(each)).find((each) => each !== undefined)
  const place = found ?? { origin: { origin: 'default' as const, name: 'cluster' } }
  reader.complain(reader.source.wrong(place, why, cure))
}
