import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { accountsContract } from './accounts.ts'
import { activityContract } from './activity.ts'
import { type Engine, openWorld, type World } from './engine.ts'
import { migrationsContract } from './migrations.ts'
import { outagesContract } from './outages.ts'
import { settingsContract } from './settings.ts'

/** Installing a server takes its time, once. */
const START_MS = 300_000

/**
 * What every kind of database must do, so that the rest of the hub need not know which one it has.
 * @param more what only some of them can be asked
 */
export function storageContract(
  name: string,
  start: () => Promise<Engine>,
  more: (engine: Engine) => void = () => undefined,
): void {
  describe(name, () => {
    let engine: Engine | undefined
    let world: World | undefined

    beforeAll(async () => {
      engine = await start()
      world = await openWorld(engine)
    }, START_MS)
    afterAll(async () => {
      await world?.close()
      await engine?.close()
    })

    const theEngine = lazily(() => engine)

    describe('in one database', () => {
      const theWorld = () => {
        if (!world) throw new Error('The database was not opened.')
        return world
      }
      beforeEach(() => theWorld().wipe())
      accountsContract(theWorld)
      settingsContract(theWorld)
      activityContract(theWorld)
    })
    migrationsContract(theEngine)
    outagesContract(theEngine)
    more(theEngine)
  })
}

/** An engine that is not there yet when the tests are declared. */
function lazily(engine: () => Engine | undefined): Engine {
  const ready = () => {
    const started = engine()
    if (!started) throw new Error('The database was not started.')
    return started
  }
  return {
    create: () => ready().create(),
    takeAway: (targets) => ready().takeAway(targets),
    get readsWhileAway() {
      return ready().readsWhileAway
    },
    close: () => ready().close(),
  }
}
