import type { Clock } from '../../kernel/clock.ts'
import type { Output } from '../output.ts'
import type { HubClient } from './hub-client.ts'
import { table } from './table.ts'
import type { ClusterTexts } from './texts.ts'

/** What every command that asks a running hub works with. */
export interface RemoteContext {
  readonly hub: HubClient
  readonly output: Output
  readonly texts: ClusterTexts
  /** Data for programs: one line of JSON on stdout. */
  readonly json: boolean
  readonly clock: Clock
}

type Rows = readonly (readonly string[])[]

/** The data for programs, or a table for people; `nobody` where the table has no rows below its heading. */
export function show({ output, json }: RemoteContext, data: unknown, rows: Rows, nobody: string): void {
  if (json) output.data(JSON.stringify(data))
  else if (rows.length < 2) output.talk(nobody)
  else for (const line of table(rows)) output.data(line)
}

/** The data for programs, or a sentence for people. */
export function tell({ output, json }: RemoteContext, data: unknown, sentence: string): void {
  if (json) output.data(JSON.stringify(data))
  else output.talk(sentence)
}

/** A time as people say it: "2h ago". Clocks of two machines differ a little: what lies ahead is now. */
export function ago(at: number, now: number, texts: ClusterTexts): string {
  const seconds = Math.max(0, Math.floor((now - at) / 1_000))
  if (seconds < 60) return texts.agoSeconds(seconds)
  if (seconds < 3_600) return texts.agoMinutes(Math.floor(seconds / 60))
  if (seconds < 86_400) return texts.agoHours(Math.floor(seconds / 3_600))
  return texts.agoDays(Math.floor(seconds / 86_400))
}

export function segment(name: string): string {
  return encodeURIComponent(name)
}
