import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 collect the whole heap when it has tripled, not when it has grown by a tenth. V8 chooses between 1.1 and 4 by the speeds that it
 * measures, and chooses badly for a process that passes big results on: their buffers, dead within milliseconds, count as old, while hardly
 * anything is allocated that would make it collect the young. A coordinator spent two thirds of its time on that (bench/cluster.ts, "big").
 */
export function collectLessOften(): void {
  setFlagsFromString('--heap-growing-percent=200')
}
