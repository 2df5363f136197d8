import { type ClusterReading, type ClusterSources, readClusterSettings } from './cluster.ts'
import { invalidSettings, parseDocument } from './document.ts'
import { isMissing, readSettingsFile } from './file-source.ts'

export interface ClusterFileSources extends Pick<ClusterSources, 'environment' | 'flags' | 'readFile'> {
  /** Path of the settings file. */
  readonly path: string
  /** Whether there need not be a file: most workers have none. */
  readonly optional: boolean
  /** How to open a sealed token; asked for only where something is sealed. */
  opener?(): Promise<(sealed: string) => string>
}

/**
 * How this node takes part in a cluster, by its flags, its environment and its own settings file. Needs no storage: what a node is
 * must be known before anything else, and is never shared with others over a database.
 * @throws HubError `settings.unreadable`, `settings.invalid`, `secret.unreadable`
 */
export async function loadClusterSettings(sources: ClusterFileSources): Promise<ClusterReading> {
  const { path, optional, opener, ...outside } = sources
  const text = await readSettingsFile(path).catch((error: unknown) => {
    if (optional && isMissing(error)) return undefined
    throw error
  })
  if (text === undefined) return readClusterSettings(outside)
  const { value, locate } = parseDocument(text, path)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidSettings(path, locate([]), 'the document must be an object')
  const openSecret = opener && /"enc:v\d+:/.test(text) ? await opener() : undefined
  return readClusterSettings({ ...outside, document: value, source: path, locate, openSecret })
}
