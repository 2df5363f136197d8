/** The facts a figure needs to be read, and none that tell whose machine it was. */

import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'

export type Machine = {
  processor: string
  cores: number
  memoryGb: number
  system: string
  node: string
  loadBefore: number
}

export function machine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown processor',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    // The kernel's version alone: what builders append to it may name their machines.
    system: `${type()} ${/^\d+\.\d+/.exec(release())?.[0] ?? ''}`,
    node: process.version,
    loadBefore: Number(loadavg()[0]?.toFixed(2)),
  }
}

export function labelOf({ processor, cores }: Machine): string {
  const words = processor.replace(/\((r|tm)\)|@.*|cpu|processor/gi, ' ').toLowerCase()
  return `${words.match(/[a-z0-9]+/g)?.join('-') ?? 'machine'}-${cores}-cores`
}
