import type { ReplicaReport } from '../../domain/cluster.ts'
import { LAST_WORDS } from '../link/control.ts'
import type { ReplicaHost } from './replica-host.ts'

interface Sources {
  readonly host: Pick<ReplicaHost, 'find'>
  /** The first `longest` characters of a text, without secrets. */
  harmless(text: string, longest: number): string
}

/** Of all replicas of a node together, in characters: a beat stays small however much fails. */
const MOST_CHARS = 256 * 1024

/** The reports, and with each that has failed what its process wrote last on stderr. */
export function withLastWords(
  reports: readonly ReplicaReport[],
  { host, harmless }: Sources,
): ReplicaReport[] {
  let room = MOST_CHARS
  return reports.map(({ stderr: _none, ...report }) => {
    if (report.phase !== 'error' || room <= 0) return report
    const lines = host.find(report)?.stderr().slice(-LAST_WORDS.lines) ?? []
    const stderr = lines.map((line) => harmless(line, LAST_WORDS.chars))
    room -= stderr.reduce((sum, line) => sum + line.length, 0)
    return stderr.length === 0 ? report : { ...report, stderr }
  })
}
