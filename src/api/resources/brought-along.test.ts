import { describe, expect, test } from 'vitest'
import { startApi } from '../../../tests/fakes/api.ts'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { interpretSettings } from '../../state/settings/interpret.ts'

/** Servers that workers bring along: the settings of the hub do not have them. */
const brought = [serverSpec('theirs'), serverSpec('alices', { owner: 'alice', visibility: 'private' })].map(
  (spec) => [spec.name, spec] as const,
)

const setup = {
  hub: {
    settings: () => ({ ...interpretSettings('{}', 'settings', {}).settings, servers: new Map(brought) }),
  },
}

describe('a server that a worker brings along', () => {
  test('can be started anew, and has logs', async () => {
    await using api = await startApi(setup)
    expect((await api.ask('POST', '/api/servers/theirs/reload', { as: 'admin' })).status).toBe(200)
    expect(api.asked).toEqual([{ port: 'servers.reload', with: 'theirs' }])
    expect((await api.ask('GET', '/api/servers/theirs/logs', { as: 'admin' })).status).toBe(200)
  })

  test('of somebody else, or that may only be seen, is as any other of that kind', async () => {
    await using api = await startApi(setup)
    const ask = async (method: string, path: string) =>
      (await api.ask(method, `/api/servers/${path}`, { as: 'bob' })).status
    expect(await ask('POST', 'alices/reload')).toBe(404)
    expect(await ask('GET', 'alices/logs')).toBe(404)
    expect(await ask('POST', 'theirs/reload')).toBe(403)
    expect(await ask('GET', 'theirs/logs')).toBe(403)
    expect(api.asked).toEqual([])
  })
})
