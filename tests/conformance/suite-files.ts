import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Revision = '2025-11-25' | '2026-07-28'
export type Leg = 'server' | 'client'

export interface Check {
  id: string
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'INFO' | 'SKIPPED'
  description?: string
  errorMessage?: string
  details?: { message?: unknown }
}

/** Which scenarios a revision asks of a leg, in the order of the suite. */
export interface Requirements {
  scored: string[]
  unscored: string[]
}

const packageFile = (path: string): string =>
  fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url))

export const suiteCommand = packageFile('.bin/conformance')

/** Reads the frozen list of the suite. It is flat enough to be read without a YAML parser. */
export async function readRequirements(revision: Revision, leg: Leg): Promise<Requirements> {
  const path = packageFile(`@modelcontextprotocol/conformance/requirements/${revision}.yaml`)
  const found: Requirements = { scored: [], unscored: [] }
  let section = ''
  let unscored = ''
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    section = /^(\w+):/.exec(line)?.[1] ?? section
    const scored = /^ {2}- ([^\s:]+)$/.exec(line)?.[1]
    if (scored !== undefined && section === leg) found.scored.push(scored)
    unscored = /^ {2}- scenario: (\S+)/.exec(line)?.[1] ?? unscored
    if (/^ {4}leg: (\w+)/.exec(line)?.[1] === leg) found.unscored.push(unscored)
  }
  if (found.scored.length === 0) throw new Error(`${path} lists no ${leg} scenarios`)
  return found
}

/** The checks of every scenario that left a report, by the scenario's name. */
export async function readReports(dir: string, leg: Leg): Promise<Map<string, Check[]>> {
  const reports = new Map<string, Check[]>()
  for (const path of await readdir(dir, { recursive: true })) {
    if (!path.endsWith('checks.json')) continue
    // The suite names its folders `server-<scenario>-<time>` and `<scenario>-<time>`.
    const name = dirname(path)
      .replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '')
      .slice(leg === 'server' ? 'server-'.length : 0)
    reports.set(name, JSON.parse(await readFile(join(dir, path), 'utf8')) as Check[])
  }
  return reports
}
