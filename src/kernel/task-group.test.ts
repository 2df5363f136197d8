import { describe, expect, test, vi } from 'vitest'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import { sleep } from './clock.ts'
import { TaskGroup } from './task-group.ts'

describe('TaskGroup', () => {
  test('close tells every task to end and waits until all have', async () => {
    const tasks = new TaskGroup(recordingLogger().logger)
    const lastWords = Promise.withResolvers<void>()
    const closed = vi.fn()
    tasks.run('slow', async (signal) => {
      await sleep(new FakeClock(), 1_000_000, signal)
      await lastWords.promise
    })
    const closing = tasks.close().then(closed)
    await settle()
    expect(tasks.signal.aborted).toBe(true)
    expect(closed).not.toHaveBeenCalled()
    lastWords.resolve()
    await closing
    expect(closed).toHaveBeenCalledOnce()
  })

  test('close may be called twice; both wait', async () => {
    const tasks = new TaskGroup(recordingLogger().logger)
    const { promise, resolve } = Promise.withResolvers<void>()
    let ended = 0
    tasks.run('slow', () => promise)
    const closings = [tasks.close(), tasks.close()].map((closing) =>
      closing.then(() => {
        ended += 1
      }),
    )
    await settle()
    expect(ended).toBe(0)
    resolve()
    await Promise.all(closings)
    expect(ended).toBe(2)
  })

  test('what is run after close does not start', async () => {
    const tasks = new TaskGroup(recordingLogger().logger)
    await tasks.close()
    const task = vi.fn(() => Promise.resolve())
    tasks.run('late', task)
    expect(task).not.toHaveBeenCalled()
  })

  test('a task that fails is logged under its name and does not disturb the others', async () => {
    const { logger, lines } = recordingLogger()
    const tasks = new TaskGroup(logger)
    const other = vi.fn()
    const broken = new Error('broken')
    tasks.run('bad', () => Promise.reject(broken))
    tasks.run('good', async () => {
      await settle()
      other()
    })
    await settle()
    await settle()
    expect(lines).toEqual([
      { level: 'error', message: 'background task failed', fields: { err: broken, task: 'bad' } },
    ])
    expect(other).toHaveBeenCalledOnce()
    expect(tasks.signal.aborted).toBe(false)
  })

  test('a failure while closing is worth a debug line only', async () => {
    const { logger, lines } = recordingLogger()
    const tasks = new TaskGroup(logger)
    tasks.run('torn', async (signal) => {
      await sleep(new FakeClock(), 1_000_000, signal)
      signal.throwIfAborted()
    })
    await tasks.close()
    expect(lines.map(({ level, fields }) => [level, fields['task']])).toEqual([['debug', 'torn']])
  })

  test('leaving the block that owns it closes it', async () => {
    let ended = false
    {
      await using tasks = new TaskGroup(recordingLogger().logger)
      tasks.run('watch', async (signal) => {
        await sleep(new FakeClock(), 1_000_000, signal)
        ended = true
      })
    }
    expect(ended).toBe(true)
  })

  test('a task that throws before its first await is logged under its name too', async () => {
    const { logger, lines } = recordingLogger()
    const tasks = new TaskGroup(logger)
    tasks.run('hasty', () => {
      throw new Error('at once')
    })
    await tasks.close()
    expect(lines.map(({ fields }) => fields['task'])).toEqual(['hasty'])
  })
})
