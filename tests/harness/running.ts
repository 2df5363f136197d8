import { DEFAULT_BACKOFF } from '../../src/kernel/backoff.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import type { Logger } from '../../src/kernel/logger.ts'
import { Semaphore } from '../../src/kernel/semaphore.ts'
import { fixedRandom } from '../fakes/random.ts'

/** Listens to servers, and makes nothing of it. */
export const IDLE_LISTENER = {
  inbound: () => ({ opened: () => undefined, request: () => undefined, notification: () => undefined }),
  up: () => undefined,
  down: () => undefined,
  ownUp: () => undefined,
  stateChanged: () => undefined,
}

/** What whoever runs servers needs, whatever the servers are. */
export function runningParts(clock: Clock, log: Logger) {
  return {
    startGate: new Semaphore(8),
    ownStartGate: new Semaphore(8),
    backoff: DEFAULT_BACKOFF,
    clock,
    random: fixedRandom(0),
    log,
  }
}
