import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeSettingsStores } from '../../../tests/fakes/settings-stores.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { until } from '../../../tests/harness/wait.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { SecretBox } from '../secrets/secret-box.ts'
import { FileHome } from './file-home.ts'
import { SettingsFileStore } from './file-store.ts'
import { type CheckedSettings, SettingsChecker } from './settings-checker.ts'
import { SettingsInForce } from './settings-in-force.ts'

let folder: string
let path: string
const ending: (() => Promise<void>)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-settings-'))
  path = join(folder, 'mcp_settings.json')
})

afterEach(async () => {
  for (const end of ending.splice(0)) await end()
  await rm(folder, { recursive: true, force: true })
})

/** Settings with one server of this name. */
function naming(server: string): string {
  return `{"mcpServers": {"${server}": {"url": "http://h/mcp"}}}\n`
}

type OnChange = (server: string) => Promise<void> | void

/** Settings in a file, as the hub has them at its start. */
async function started({
  clock = systemClock,
  onChange = () => undefined,
}: {
  clock?: Clock
  onChange?: OnChange
} = {}) {
  const { logger: log, lines } = recordingLogger()
  const box = new SecretBox('a secret of the tests')
  const checker = new SettingsChecker({ box, variables: {} })
  const file = new SettingsFileStore(path, { clock, log, check: () => undefined })
  const home = new FileHome({
    file,
    revisions: new FakeSettingsStores().revisions,
    clock,
    box,
    variables: {},
  })
  /** What came into force, oldest first: the name of its server. */
  const applied: string[] = []
  const nameOf = ({ settings }: CheckedSettings) => [...settings.servers.keys()].join()
  const inForce = new SettingsInForce({
    home,
    checker,
    clock,
    log,
    onChange: async (next) => {
      await onChange(nameOf(next))
      applied.push(nameOf(next))
    },
  })
  await inForce.start()
  const errors = () => lines.filter(({ level }) => level === 'error').map(({ message }) => message)
  return { inForce, applied, errors }
}

/** The same, looked at as in a running hub until the test ends. */
async function watched(options: Parameters<typeof started>[0] = {}) {
  const parts = await started(options)
  const stopping = new AbortController()
  const watching = parts.inForce.watch(stopping.signal)
  const end = async () => {
    stopping.abort()
    await watching
  }
  ending.push(end)
  return { ...parts, end }
}

function untilApplied(applied: readonly string[], expected: string): Promise<boolean> {
  return until(`${expected} is in force`, () => applied.at(-1) === expected, 5_000)
}

describe('a settings file that others change comes into force', () => {
  test('when its text was written in place', async () => {
    await writeFile(path, naming('one'))
    const { applied } = await watched()
    await writeFile(path, naming('two'))
    await untilApplied(applied, 'two')
    expect(applied).toEqual(['two'])
  })

  test('when another was renamed over it, as many editors do, again and again', async () => {
    await writeFile(path, naming('one'))
    const { applied } = await watched()
    for (const name of ['two', 'three']) {
      await writeFile(`${path}.tmp`, naming(name))
      await rename(`${path}.tmp`, path)
      await untilApplied(applied, name)
    }
    expect(applied).toEqual(['two', 'three'])
  })

  test('[R36] after the symlink swap by which Kubernetes changes a ConfigMap', async () => {
    for (const [version, name] of [
      ['..v1', 'one'],
      ['..v2', 'two'],
    ] as const) {
      await mkdir(join(folder, version))
      await writeFile(join(folder, version, 'mcp_settings.json'), naming(name), { mode: 0o444 })
      await chmod(join(folder, version), 0o555)
    }
    await symlink('..v1', join(folder, '..data'))
    await symlink(join('..data', 'mcp_settings.json'), path)
    const { applied } = await watched()
    await symlink('..v2', join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    await untilApplied(applied, 'two')
    expect(applied).toEqual(['two'])
  })

  test('when it returns after it was deleted; until then the last good one stays, and that is said once', async () => {
    await writeFile(path, naming('one'))
    const { inForce, applied, errors } = await watched()
    await rm(path)
    await until('the error is logged', () => errors().length > 0, 5_000)
    expect(errors()[0]).toContain('is missing or empty')
    await inForce.look()
    expect([errors().length, applied]).toEqual([1, []])
    await writeFile(path, naming('two'))
    await untilApplied(applied, 'two')
    expect(inForce.whyNot).toBeUndefined()
  })

  test('when it was not there at first', async () => {
    const { applied } = await watched()
    await writeFile(path, naming('one'))
    await untilApplied(applied, 'one')
  })

  test('when it changed between the start and the first look', async () => {
    await writeFile(path, naming('one'))
    const { inForce, applied } = await started()
    await writeFile(path, naming('two'))
    await inForce.look()
    expect(applied).toEqual(['two'])
  })

  test('not when its text is the same as before, however it was touched', async () => {
    await writeFile(path, naming('one'))
    const { inForce, applied } = await started()
    await writeFile(`${path}.tmp`, naming('one'))
    await rename(`${path}.tmp`, path)
    await inForce.look()
    await writeFile(path, naming('one'))
    await inForce.look()
    expect(applied).toEqual([])
  })

  test('not any more when nobody watches it', async () => {
    await writeFile(path, naming('one'))
    const { applied, end } = await watched()
    const witness = await watched()
    await end()
    await writeFile(path, naming('two'))
    await untilApplied(witness.applied, 'two')
    expect(applied).toEqual([])
  })

  test('one change after the other: the next waits until the first is dealt with', async () => {
    await writeFile(path, naming('one'))
    const steps: string[] = []
    const { promise: dealtWith, resolve } = Promise.withResolvers<void>()
    const { inForce, applied } = await started({
      onChange: async (name) => {
        steps.push(`begin ${name}`)
        if (name === 'two') await dealtWith
        steps.push(`end ${name}`)
      },
    })
    await writeFile(path, naming('two'))
    const first = inForce.look()
    await until('the first change is taken', () => steps.length > 0)
    await writeFile(path, naming('three'))
    const second = inForce.look()
    resolve()
    await Promise.all([first, second])
    expect(steps).toEqual(['begin two', 'end two', 'begin three', 'end three'])
    expect(applied).toEqual(['two', 'three'])
  })
})

describe('a settings file in the middle of being saved', () => {
  async function saving() {
    await writeFile(path, naming('one'))
    const clock = new FakeClock()
    return { clock, ...(await started({ clock })) }
  }
  const untilWaiting = (clock: FakeClock) => until('it waits to look again', () => clock.pending === 1)

  test('does not count until two looks, 100 ms apart, agree', async () => {
    const { clock, inForce, applied, errors } = await saving()
    await writeFile(path, '')
    const looking = inForce.look()
    await untilWaiting(clock)
    for (const text of ['{"mcp', naming('two')]) {
      await clock.advance(99)
      expect(clock.pending).toBe(1)
      await writeFile(path, text)
      await clock.advance(1)
      await untilWaiting(clock)
    }
    expect(applied).toEqual([])
    await clock.advance(100)
    await looking
    expect([applied, errors()]).toEqual([['two'], []])
  })

  test('and that ends with the text of before has not changed', async () => {
    const { clock, inForce, applied, errors } = await saving()
    await rm(path)
    const looking = inForce.look()
    await untilWaiting(clock)
    await writeFile(path, naming('one'))
    await clock.advance(100)
    await untilWaiting(clock)
    await clock.advance(100)
    await looking
    expect([applied, errors(), clock.pending]).toEqual([[], [], 0])
  })
})
