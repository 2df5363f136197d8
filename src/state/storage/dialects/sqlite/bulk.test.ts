import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SqliteThread } from './sqlite-thread.ts'

let folder: string
let thread: SqliteThread
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-bulk-'))
  thread = new SqliteThread({
    path: join(folder, 'x.db'),
    synchronous: 'normal',
    busyMs: 5_000,
    writesMuch: true,
  })
  await thread.query('create table t (id text primary key, n integer not null, flag boolean)', [])
})
afterEach(async () => {
  await thread.close()
  await rm(folder, { recursive: true, force: true })
})

function insert(given: readonly (readonly unknown[])[]): Promise<void> {
  return thread.bulk('t', ['id', 'n', 'flag'], given)
}

async function rows(): Promise<unknown> {
  const result = await thread.query('select id, n, flag from t order by id', [])
  return 'rows' in result ? result.rows.map(({ id, n, flag }) => [id, n, flag]) : []
}

describe('many rows for one statement', () => {
  test('are written, whatever their values; a key that is there already is left as it is', async () => {
    await insert([
      ['a', 1, true],
      ['b', 2, undefined],
    ])
    await insert([
      ['b', 3, false],
      ['ü\n"', 4, false],
    ])
    expect(await rows()).toEqual([
      ['a', 1, 1],
      ['b', 2, null],
      ['ü\n"', 4, 0],
    ])
  })

  test('are written in their order, however many they are', async () => {
    for (const count of [19, 20, 21, 157]) {
      await thread.query('delete from t', [])
      const given = Array.from({ length: count }, (_, n) => [`row-${String(n).padStart(3, '0')}`, n, n % 2])
      await insert(given)
      expect(await rows()).toEqual(given)
    }
  })

  test('are there all or not at all; those that came with them do not suffer', async () => {
    const outcomes = await Promise.allSettled([
      insert([['a', 1, true]]),
      insert([
        ['b', 2, true],
        ['c', null, true],
      ]),
      insert([['d', 4, true]]),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { message: expect.stringContaining('NOT NULL') } })
    expect(await rows()).toEqual([
      ['a', 1, 1],
      ['d', 4, 1],
    ])
  })

  // Elsewhere a thread has no priority of its own.
  test.runIf(process.platform === 'linux')(
    'are written by a thread that lets all others go first',
    async () => {
      await insert([['a', 1, true]])
      const own = getPriority()
      expect((await priorities()).filter((nice) => nice > own)).toHaveLength(1)
    },
  )
})

/** The nice value of each thread of this process: proc_pid_stat(5), field 19. */
async function priorities(): Promise<number[]> {
  const threads = await readdir('/proc/self/task')
  const stats = await Promise.all(threads.map((id) => readFile(`/proc/self/task/${id}/stat`, 'utf8')))
  // The name in parentheses may hold spaces; what follows it begins with field 3.
  return stats.map((stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]))
}
