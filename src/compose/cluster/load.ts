import { SecretSource } from '../../state/secrets/secret-source.ts'
import type { ClusterFlags, ClusterReading } from '../../state/settings/cluster.ts'
import { loadClusterSettings } from '../../state/settings/cluster-file.ts'
import { secretFileReader } from '../../state/settings/secret-files.ts'
import { type Environment, openBox, secretFolders } from '../state.ts'

export interface ClusterFrom {
  readonly settingsPath: string
  readonly settingsOptional: boolean
  readonly dataDir: string
  readonly environment: Environment
  readonly flags: ClusterFlags
}

/**
 * How this node takes part in a cluster, before anything else is known of it.
 * @throws HubError `settings.invalid`, `secret.unreadable`
 */
export function loadCluster(from: ClusterFrom): Promise<ClusterReading> {
  const { settingsPath, settingsOptional, dataDir, environment, flags } = from
  return loadClusterSettings({
    path: settingsPath,
    optional: settingsOptional,
    environment,
    flags,
    readFile: secretFileReader(secretFolders(environment)),
    async opener() {
      const box = await openBox(new SecretSource(environment, dataDir))
      return (sealed) => box.open(sealed)
    },
  })
}
