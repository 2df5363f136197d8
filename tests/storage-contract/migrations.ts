import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { executedMigrations, migrate } from '../../src/state/storage/migrate.ts'
import { MIGRATIONS } from '../../src/state/storage/migrations/list.ts'
import type { SchemaMigration } from '../../src/state/storage/migrations/migration.ts'
import { Storage } from '../../src/state/storage/storage.ts'
import { recordingLogger } from '../harness/recording-logger.ts'
import { type Engine, openRaw, openStorage, refusal } from './engine.ts'
import { T, usage, user } from './records.ts'

const NAMES = MIGRATIONS.map(({ name }) => name)

const future: SchemaMigration = {
  name: '9999-future',
  async up(schema) {
    await sql`alter table users add column shoe_size integer`.execute(schema.db)
    await schema.createTable('shoes', (table, { integer }) => table.addColumn('size', integer))
  },
}

export function migrationsContract(engine: Engine): void {
  const silent = recordingLogger().logger

  describe('the schema', () => {
    test.each(MIGRATIONS.map((_, done) => done))(
      '[R206] grows from version %i to the newest, and keeps what is there',
      async (done) => {
        const targets = await engine.create()
        const raw = await openRaw(targets)
        if (done > 0) {
          await migrate(raw.db, raw.can.columns, silent, MIGRATIONS.slice(0, done))
          await raw.db
            .insertInto('users')
            .values({
              username: 'alice',
              password: 'x',
              is_admin: true,
              status: 'active',
              origin: 'api',
              created_at: T,
            })
            .execute()
        }
        const storage = await openStorage(targets)
        await storage.activity.appendUsage([usage('u1')])
        expect(await storage.users.list()).toEqual(
          done > 0 ? [user('alice', { role: 'admin', passwordHash: 'x' })] : [],
        )
        expect((await storage.activity.usage({}, { limit: 1 })).items).toEqual([usage('u1')])
        expect(await executedMigrations(raw.db)).toEqual(NAMES)
        await storage.close()
        await raw.close()
      },
    )

    test('is made by one when four hubs start at once on an empty database', async () => {
      const targets = await engine.create()
      const logs = Array.from({ length: 4 }, () => recordingLogger())
      const storages = await Promise.all(
        logs.map(({ logger }) => Storage.open(targets, { clock: systemClock, log: logger })),
      )
      await Promise.all(storages.map((storage, n) => storage.users.create(user(`u${n}`))))
      expect(await storages[0]?.users.list()).toHaveLength(4)
      const made = logs
        .flatMap(({ lines }) => lines)
        .filter(({ message }) => message === 'the database was migrated')
      expect(made.map(({ fields }) => fields['migration'])).toEqual(NAMES)
      for (const storage of storages) await storage.close()
    })

    test('[R206] of a newer version is worked with, and the log says so', async () => {
      const targets = await engine.create()
      const raw = await openRaw(targets)
      await migrate(raw.db, raw.can.columns, silent, [...MIGRATIONS, future])
      const { logger, lines } = recordingLogger()
      const storage = await Storage.open(targets, { clock: systemClock, log: logger })
      await storage.users.create(user('alice'))
      await storage.users.update('alice', { fullName: 'A' })
      expect(await storage.users.find('alice')).toEqual(user('alice', { fullName: 'A' }))
      expect(lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields['migrations'])).toEqual(
        [['9999-future']],
      )
      await storage.close()
      await raw.close()
    })

    test('of something else is left alone', async () => {
      const targets = await engine.create()
      const raw = await openRaw(targets)
      await migrate(raw.db, raw.can.columns, silent, [{ name: '0000-other', up: async () => undefined }])
      expect(await refusal(openStorage(targets))).toBe('storage.invalid')
      expect(await executedMigrations(raw.db)).toEqual(['0000-other'])
      await raw.close()
    })

    test('is finished by the next start when a migration fails half-way', async () => {
      const targets = await engine.create()
      const raw = await openRaw(targets)
      const [core, ...more] = MIGRATIONS
      const failing: SchemaMigration = {
        name: core?.name ?? '',
        async up(schema) {
          await core?.up(schema)
          await sql`this is no statement`.execute(schema.db)
        },
      }
      expect(await refusal(migrate(raw.db, raw.can.columns, silent, [failing, ...more]))).not.toBe('none')
      expect(await executedMigrations(raw.db)).toEqual([])
      const storage = await openStorage(targets)
      await storage.users.create(user('alice'))
      expect(await executedMigrations(raw.db)).toEqual(NAMES)
      const counters = await raw.db.selectFrom('change_counters').selectAll().orderBy('topic').execute()
      expect(counters.map(({ topic, number }) => [topic, number])).toEqual([
        ['keys', 0],
        ['settings', 0],
        ['users', 1],
      ])
      await storage.close()
      await raw.close()
    })
  })
}
