import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeSettingsStores, storageAway } from '../../../tests/fakes/settings-stores.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import { systemClock } from '../../kernel/clock.ts'
import { systemRandom } from '../../kernel/random.ts'
import { isSealed, SecretBox } from '../secrets/secret-box.ts'
import { MASK } from '../secrets/secret-places.ts'
import { DatabaseHome } from './database-home.ts'
import { FileHome } from './file-home.ts'
import { SettingsFileStore } from './file-store.ts'
import { type CheckedSettings, SettingsChecker } from './settings-checker.ts'
import { SettingsInForce } from './settings-in-force.ts'
import { SettingsService } from './settings-service.ts'

const box = new SecretBox('a secret of the tests')
const BY = { author: 'alice', reason: 'because' }
let folder: string
let path: string
let stores: FakeSettingsStores

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-service-'))
  path = join(folder, 'mcp_settings.json')
  stores = new FakeSettingsStores()
})
afterEach(() => rm(folder, { recursive: true, force: true }))

interface Node {
  readonly service: SettingsService
  readonly inForce: SettingsInForce
  /** The documents that came into force, oldest first. */
  readonly applied: CheckedSettings[]
  readonly errors: () => string[]
}

/** A hub with its settings in `path` or in the database of the test. */
function node(kind: 'file' | 'database', validate?: (next: CheckedSettings) => void, own = box): Node {
  const { logger: log, lines } = recordingLogger()
  const drafting = { box: own, variables: { SET: 'from-env' } }
  const { revisions, documents } = stores
  const checker = new SettingsChecker({ ...drafting, ...(validate && { validate }) })
  const file = new SettingsFileStore(path, {
    clock: systemClock,
    log,
    check: (text) => void checker.interpret(text, path),
  })
  const home =
    kind === 'file'
      ? new FileHome({ ...drafting, file, revisions, clock: systemClock })
      : new DatabaseHome({ documents, revisions, clock: systemClock, random: systemRandom })
  const applied: CheckedSettings[] = []
  const inForce = new SettingsInForce({
    home,
    checker,
    clock: systemClock,
    log,
    onChange: (next) => void applied.push(next),
  })
  const service = new SettingsService({ ...drafting, home, revisions, clock: systemClock, checker, inForce })
  const errors = () => lines.filter(({ level }) => level === 'error').map(({ message }) => message)
  return { service, inForce, applied, errors }
}

const add = (name: string, server: unknown = { url: 'http://h/mcp' }) => [
  { path: ['mcpServers', name], value: server },
]
const written = async () => JSON.parse(await readFile(path, 'utf8'))
const refusedWith = (code: string) => expect.objectContaining({ code })

describe.each(['file', 'database'] as const)('settings in a %s', (kind) => {
  test('change by an edit: it comes into force, and its revision says who, why and what', async () => {
    const { service, applied } = node(kind)
    const outcome = await service.change({ ...BY, change: add('a') })
    expect(outcome).toMatchObject({ number: 1, etag: '"1"', applied: true, warnings: [] })
    expect(applied.at(-1)?.settings.servers.get('a')?.transport).toMatchObject({ url: 'http://h/mcp' })
    const [revision] = await service.list({ limit: 10 })
    expect(revision).toMatchObject({ number: 1, ...BY, changes: [{ path: '/mcpServers', kind: 'added' }] })
    expect(await service.current()).toMatchObject({
      number: 1,
      document: { mcpServers: { a: { url: 'http://h/mcp' } } },
    })
  })

  test('keep secrets that arrive sealed, show them masked, and use them open', async () => {
    const { service, applied } = node(kind)
    await service.change({
      ...BY,
      change: add('a', { url: 'http://h', headers: { K: 'canary-one', R: '${SET}' } }),
    })
    const stored = JSON.stringify([
      stores.all,
      await service.current(),
      kind === 'file' ? await written() : '',
    ])
    expect(stored).not.toContain('canary')
    expect(applied[0]?.settings.servers.get('a')?.transport).toMatchObject({
      headers: { K: 'canary-one', R: 'from-env' },
    })
    expect((await service.show(1)).document).toMatchObject({
      mcpServers: { a: { headers: { K: MASK, R: '${SET}' } } },
    })
  })

  test('keep what is stored for a mask, and its sealed text', async () => {
    const { service } = node(kind)
    await service.change({ ...BY, change: add('a', { url: 'http://h', env: { K: 'canary-one' } }) })
    const before = (await service.current()).document
    const edited = { url: 'http://other', env: { K: MASK, L: 'canary-two' } }
    const { changes } = await service.change({ ...BY, change: add('a', edited) })
    const after = (await service.current()).document
    expect(changes.map((change) => change.path)).toEqual(['/mcpServers/a/url', '/mcpServers/a/env/L'])
    const keyOf = (document: unknown) =>
      (document as typeof edited & { mcpServers: { a: typeof edited } }).mcpServers.a.env.K
    expect(keyOf(after)).toBe(keyOf(before))
    expect(isSealed(keyOf(after))).toBe(true)
  })

  test('that do not change make no revision', async () => {
    const { service, applied } = node(kind)
    await service.change({ ...BY, change: add('a', { url: 'http://h', env: { K: 'canary-one' } }) })
    const again = await service.change({
      ...BY,
      change: add('a', { env: { K: 'canary-one' }, url: 'http://h' }),
    })
    expect(again).toMatchObject({ number: 1, applied: false, changes: [] })
    expect(applied).toHaveLength(1)
    expect(stores.all).toHaveLength(1)
  })

  test('tell in a dry run what would happen, and do nothing', async () => {
    const { service, applied } = node(kind)
    await service.change({ ...BY, change: add('a') })
    const before = JSON.stringify([stores.all, await service.current()])
    const dry = await service.change({ ...BY, change: add('b', { url: 'http://${NOT_SET}h' }), dryRun: true })
    expect(dry).toMatchObject({ number: 1, applied: false, changes: [{ path: '/mcpServers/b' }] })
    expect(dry.warnings.join()).toContain('${NOT_SET} is not set')
    expect(JSON.stringify([stores.all, await service.current()])).toBe(before)
    expect(applied).toHaveLength(1)
  })

  test('refuse what the hub could not run with, or must not', async () => {
    const { service } = node(kind, ({ settings }) => {
      if (settings.servers.has('forbidden')) throw new HubError('server.launch-denied', 'No.')
    })
    await expect(service.change({ ...BY, change: add('a', { type: 'stdio' }) })).rejects.toThrow(
      refusedWith('settings.invalid'),
    )
    await expect(service.change({ ...BY, change: add('forbidden') })).rejects.toThrow(
      refusedWith('server.launch-denied'),
    )
    expect(stores.all).toEqual([])
  })

  test('refuse a change to settings that are not those that were read', async () => {
    const { service } = node(kind)
    const { etag } = await service.current()
    await service.change({ ...BY, change: add('a'), ifMatch: etag })
    await expect(service.change({ ...BY, change: add('b'), ifMatch: etag })).rejects.toThrow(
      refusedWith('settings.conflict'),
    )
    await service.change({ ...BY, change: add('b'), ifMatch: '"0", "1"' })
    await service.change({ ...BY, change: add('c'), ifMatch: '*' })
    expect(Object.keys((await service.current()).document['mcpServers'] as object)).toEqual(['a', 'b', 'c'])
  })

  test('lose no change when several nodes change them at once', async () => {
    const nodes = [node(kind), node(kind), node(kind)]
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        nodes[index % 3]?.service.change({ ...BY, change: add(`s${index}`) }),
      ),
    )
    expect(Object.keys((await node(kind).service.current()).document['mcpServers'] as object)).toHaveLength(
      12,
    )
    expect(stores.all.map(({ number }) => number)).toEqual(
      Array.from({ length: 12 }, (_, index) => index + 1),
    )
  })

  test('of which exactly one of two changes wins that both saw the same settings', async () => {
    const [one, other] = [node(kind), node(kind)]
    await one.service.change({ ...BY, change: add('a') })
    const outcomes = await Promise.allSettled(
      [one, other].map(({ service }, index) =>
        service.change({ ...BY, change: add(`b${index}`), ifMatch: '"1"' }),
      ),
    )
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('go back to an earlier revision as a new one, secrets included', async () => {
    const { service, applied } = node(kind)
    const first = { url: 'http://one', env: { K: 'canary-one' }, headers: { H: 'canary-1' } }
    await service.change({ ...BY, change: add('a', first) })
    await service.change({ ...BY, change: add('a', { url: 'http://two', headers: { H: 'canary-2' } }) })
    const outcome = await service.rollback(1, { author: 'bob', reason: undefined })
    expect(outcome).toMatchObject({ number: 3, applied: true })
    expect(applied.at(-1)?.document).toEqual({ mcpServers: { a: first } })
    expect(await service.diff(1, 3)).toEqual([])
    expect(await service.diff(2, 3)).toMatchObject([
      { path: '/mcpServers/a/url', before: 'http://two', after: 'http://one' },
      { path: '/mcpServers/a/headers/H', before: MASK, after: MASK },
      { path: '/mcpServers/a/env', kind: 'added' },
    ])
    expect((await service.list({ limit: 1 }))[0]).toMatchObject({
      author: 'bob',
      reason: 'Back to revision 1.',
    })
    await expect(service.rollback(9, BY)).rejects.toThrow(refusedWith('resource.missing'))
  })

  test('are exported sealed, masked or open', async () => {
    const { service } = node(kind)
    await service.change({
      ...BY,
      change: [...add('a', { url: 'http://h', env: { K: 'canary' } }), { path: ['own'], value: [1] }],
    })
    expect(JSON.parse(await service.export('open'))).toEqual({
      mcpServers: { a: { url: 'http://h', env: { K: 'canary' } } },
      own: [1],
    })
    expect(await service.export('masked')).toContain(MASK)
    expect(await service.export('sealed')).toContain('enc:v1:')
    expect((await service.export('masked')) + (await service.export('sealed'))).not.toContain('canary')
  })

  test('are sealed anew under a new secret, their history too; then the old secret is not needed', async () => {
    await node(kind).service.change({ ...BY, change: add('a', { url: 'http://h', env: { K: 'canary' } }) })
    await node(kind).service.change({ ...BY, change: add('b') })
    const rotating = new SecretBox('a new one', ['a secret of the tests'])
    expect(await node(kind, undefined, rotating).service.reseal('system')).toBe(2)
    const { service } = node(kind, undefined, new SecretBox('a new one'))
    expect(JSON.parse(await service.export('open'))).toMatchObject({
      mcpServers: { a: { env: { K: 'canary' } } },
    })
    expect(await service.diff(1, 3)).toMatchObject([{ path: '/mcpServers/b' }])
    expect(stores.all).toHaveLength(3)
  })

  test('cannot change while the database is away, and are as before', async () => {
    const { service, applied } = node(kind)
    await service.change({ ...BY, change: add('a') })
    const before = kind === 'file' ? await readFile(path, 'utf8') : ''
    stores.failure = storageAway()
    await expect(service.change({ ...BY, change: add('b') })).rejects.toThrow(
      refusedWith('storage.unavailable'),
    )
    stores.failure = undefined
    expect((await service.current()).number).toBe(1)
    if (kind === 'file') expect(await readFile(path, 'utf8')).toBe(before)
    expect(applied).toHaveLength(1)
  })

  test('that others change come into force at the next look, once', async () => {
    const [one, other] = [node(kind), node(kind)]
    await one.service.change({ ...BY, change: add('a') })
    await other.inForce.start()
    await one.service.change({ ...BY, change: add('b') })
    await other.inForce.look()
    await other.inForce.look()
    expect(other.applied.map(({ settings }) => [...settings.servers.keys()])).toEqual([['a', 'b']])
    await one.inForce.look()
    expect(one.applied).toHaveLength(2)
  })
})

test('a node whose settings are changed by another just while it reads them makes its change to the newer ones', async () => {
  const [slow, fast] = [node('database'), node('database')]
  await fast.service.change({ ...BY, change: add('a') })
  const { read } = stores.documents
  Object.assign(stores.documents, {
    read: async () => {
      const old = await read()
      Object.assign(stores.documents, { read })
      await fast.service.change({ ...BY, change: add('b') })
      return old
    },
  })
  await slow.service.change({ ...BY, change: add('c') })
  expect(Object.keys((await slow.service.current()).document['mcpServers'] as object)).toEqual([
    'a',
    'b',
    'c',
  ])
})

describe('a settings file that people edit too', () => {
  const server = (url: string) => ({ mcpServers: { a: { url, env: { K: 'canary-by-hand' } } } })

  test('makes a revision of each edit by hand, with its secrets sealed', async () => {
    await writeFile(path, JSON.stringify(server('http://one')))
    const { service, inForce, applied } = node('file')
    expect((await inForce.start()).settings.servers.get('a')?.transport).toMatchObject({ url: 'http://one' })
    await writeFile(path, JSON.stringify(server('http://two')))
    await inForce.look()
    expect(applied.map(({ settings }) => settings.servers.get('a')?.transport)).toMatchObject([
      { url: 'http://two' },
    ])
    expect(await service.list({ limit: 5 })).toMatchObject([
      { number: 2, author: 'file', changes: [{ path: '/mcpServers/a/url' }] },
      { number: 1, author: 'file' },
    ])
    expect(JSON.stringify(stores.all)).not.toContain('canary')
  })

  test('keeps what the operator wrote in plain text, his comments too', async () => {
    await writeFile(
      path,
      '// mine\n{\n  "mcpServers": {\n    "a": { "url": "http://h", "env": { "K": "by-hand" } } // a\n  }\n}\n',
    )
    const { service } = node('file')
    await service.change({ ...BY, change: [{ path: ['mcpServers', 'a', 'env', 'L'], value: 'canary-new' }] })
    await service.change({ ...BY, change: add('a', { url: 'http://h', env: { K: MASK, L: MASK } }) })
    const text = await readFile(path, 'utf8')
    expect(text).toMatch(/^\/\/ mine\n[\s\S]*"K": "by-hand"[\s\S]*"L": "enc:v1:[\s\S]*\/\/ a\n/)
    expect(text).not.toContain('canary')
  })

  test('an edit by hand since the settings were read is a conflict for If-Match, and stays otherwise', async () => {
    const { service } = node('file')
    const { etag } = await service.change({ ...BY, change: add('a') })
    await writeFile(path, JSON.stringify({ mcpServers: { hand: { url: 'http://hand' } } }))
    await expect(service.change({ ...BY, change: add('b'), ifMatch: etag })).rejects.toThrow(
      refusedWith('settings.conflict'),
    )
    await service.change({ ...BY, change: add('b') })
    expect(Object.keys((await written()).mcpServers)).toEqual(['hand', 'b'])
    expect(stores.all.map(({ author }) => author)).toEqual(['alice', 'file', 'alice'])
  })

  test('heals after a crash between file and revision', async () => {
    await node('file').service.change({ ...BY, change: add('a') })
    await writeFile(
      path,
      JSON.stringify({ mcpServers: { a: { url: 'http://h/mcp' }, b: { url: 'http://b' } } }),
    )
    const { inForce, service } = node('file')
    await inForce.start()
    expect(await service.list({ limit: 1 })).toMatchObject([
      { number: 2, author: 'file', changes: [{ path: '/mcpServers/b' }] },
    ])
  })

  test('[R217] is put back when its revision cannot be written', async () => {
    await writeFile(path, '{ "mcpServers": {} } // mine\n')
    const { service, applied } = node('file')
    await service.current()
    const { append } = stores.revisions
    Object.assign(stores.revisions, { append: () => Promise.reject(storageAway()) })
    await expect(service.change({ ...BY, change: add('a') })).rejects.toThrow(
      refusedWith('storage.unavailable'),
    )
    Object.assign(stores.revisions, { append })
    expect(await readFile(path, 'utf8')).toBe('{ "mcpServers": {} } // mine\n')
    expect(applied).toEqual([])
    expect((await service.change({ ...BY, change: add('a') })).number).toBe(2)
  })

  test('comes into force while the database is away, and is recorded when that is back', async () => {
    await writeFile(path, JSON.stringify(server('http://one')))
    const { inForce, applied, service } = node('file')
    stores.failure = storageAway()
    expect((await inForce.start()).settings.servers.size).toBe(1)
    await writeFile(path, JSON.stringify(server('http://two')))
    await inForce.look()
    expect(applied).toHaveLength(1)
    stores.failure = undefined
    await inForce.look()
    expect(await service.list({ limit: 5 })).toMatchObject([{ number: 1, author: 'file' }])
  })

  test('that cannot be used changes nothing; that is said once', async () => {
    await writeFile(path, JSON.stringify(server('http://one')))
    const { inForce, applied, errors } = node('file')
    await inForce.start()
    for (const bad of ['{"mcpServers": ', '{"mcpServers": ', '', '{"mcpServers": {"a": {}}}']) {
      await writeFile(path, bad)
      await inForce.look()
      await inForce.look()
    }
    await rm(path)
    await inForce.look()
    expect(applied).toEqual([])
    expect(errors()).toHaveLength(4)
    expect(errors().every((message) => message.includes('the last good ones stay in force'))).toBe(true)
    expect(stores.all).toHaveLength(1)
  })

  test('that was emptied or removed is not written over', async () => {
    const { service } = node('file')
    await service.change({ ...BY, change: add('a') })
    await writeFile(path, '')
    await expect(service.change({ ...BY, change: add('b') })).rejects.toThrow(
      refusedWith('settings.unreadable'),
    )
    await rm(path)
    await expect(service.change({ ...BY, change: add('b') })).rejects.toThrow(
      refusedWith('settings.unreadable'),
    )
    expect(stores.all).toHaveLength(1)
  })

  test('[R36] may be read-only: it serves, has its revisions, and changes are refused', async () => {
    await writeFile(path, JSON.stringify(server('http://one')), { mode: 0o444 })
    const { inForce, service } = node('file')
    await inForce.start()
    expect(await service.list({ limit: 5 })).toMatchObject([{ number: 1, author: 'file' }])
    expect((await service.change({ ...BY, change: add('b'), dryRun: true })).changes).toHaveLength(1)
    await expect(service.change({ ...BY, change: add('b') })).rejects.toThrow(
      refusedWith('settings.read-only'),
    )
  })

  test('with a secret that nobody can open says where it is', async () => {
    const sealed = new SecretBox('lost').seal('canary')
    await writeFile(
      path,
      JSON.stringify({ mcpServers: { a: { url: 'http://h', env: { K: sealed } } } }, undefined, 2),
    )
    await expect(node('file').inForce.start()).rejects.toMatchObject({
      code: 'secret.unreadable',
      message: expect.stringMatching(/mcp_settings\.json:6:\d+: mcpServers\.a\.env\.K: /),
    })
  })
})
