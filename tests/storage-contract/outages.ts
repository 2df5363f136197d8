import { describe, expect, test } from 'vitest'
import { HubError } from '../../src/domain/errors.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { StorageTargets } from '../../src/state/storage/dsn.ts'
import { Storage } from '../../src/state/storage/storage.ts'
import { recordingLogger } from '../harness/recording-logger.ts'
import { until } from '../harness/wait.ts'
import { type Engine, openStorage, refusal } from './engine.ts'
import { revision, T, usage, user } from './records.ts'

export function outagesContract(engine: Engine): void {
  describe('a database that is away', () => {
    test('is said to be, in good time and without its password, and is used again as soon as it is back', async () => {
      const targets = await engine.create()
      const storage = await openStorage(targets)
      await storage.users.create(user('alice'))
      const comeBack = await engine.takeAway(targets)
      const error = await storage.users.create(user('bob')).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).toBeInstanceOf(HubError)
      expect(error).toMatchObject({ code: 'storage.unavailable', httpStatus: 503, retryAfter: 5 })
      expect(JSON.stringify(everything(error))).not.toContain(passwordOf(targets))
      expect((await storage.health()).reachable).toBe(engine.readsWhileAway)
      if (!engine.readsWhileAway) {
        expect(await refusal(storage.users.find('alice'))).toBe('storage.unavailable')
        expect(await refusal(storage.activity.appendUsage([usage('u1')]))).toBe('storage.unavailable')
        expect(await refusal(storage.document.write({}, revision(1)))).toBe('storage.unavailable')
        expect(await refusal(openStorage(targets))).toBe('storage.unavailable')
      }
      await comeBack()
      await storage.users.create(user('carol'))
      await storage.users.update('alice', { lastLoginAt: T })
      expect((await storage.users.list()).map(({ username }) => username)).toEqual(['alice', 'carol'])
      expect(await storage.health()).toEqual({ reachable: true })
      await storage.close()
    })

    test('tells of changes again when it is back', async () => {
      const targets = await engine.create()
      const { logger, lines } = recordingLogger()
      const storage = await Storage.open(targets, { clock: systemClock, log: logger })
      let heard = 0
      storage.changes.on('users', () => {
        heard += 1
      })
      const comeBack = await engine.takeAway(targets)
      if (!engine.readsWhileAway)
        await until('the feed has noticed', () =>
          lines.some(({ message }) => message.includes('cannot be asked')),
        )
      await comeBack()
      await storage.users.create(user('alice'))
      await until('the change was told', () => heard > 0)
      expect(lines.filter(({ message }) => message.includes('cannot be asked')).length).toBeLessThanOrEqual(1)
      await storage.close()
    })

    test('is waited for at the start, if that is wanted', async () => {
      const targets = await engine.create()
      await (await openStorage(targets)).close()
      const comeBack = await engine.takeAway(targets)
      if (!engine.readsWhileAway) {
        const before = performance.now()
        expect(await refusal(openStorage(targets, 600))).toBe('storage.unavailable')
        expect(performance.now() - before).toBeGreaterThan(500)
      }
      const opening = openStorage(targets, 20_000)
      await comeBack()
      const storage = await opening
      expect(await storage.users.list()).toEqual([])
      await storage.close()
    })
  })

  describe('closing', () => {
    test('may happen twice, and whoever comes later is told', async () => {
      const storage = await openStorage(await engine.create())
      const writing = storage.users.create(user('alice'))
      await writing
      await Promise.all([storage.close(), storage.close()])
      await storage.close()
      expect(await refusal(storage.users.list())).toBe('storage.unavailable')
    })
  })
}

/** An error with all that hangs on it: causes, and what drivers add. */
function everything(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  return {
    ...error,
    name: error.name,
    message: error.message,
    stack: error.stack,
    cause: everything(error.cause),
  }
}

function passwordOf({ main }: StorageTargets): string {
  return main.kind === 'sqlite' ? 'there is none' : main.password
}
