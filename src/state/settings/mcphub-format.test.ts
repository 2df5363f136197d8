import { describe, expect, test } from 'vitest'
import { EVERYTHING } from '../../../tests/fixtures/settings/mcphub-document.ts'
import { interpretSettings } from './interpret.ts'

function read(document: unknown) {
  return interpretSettings(JSON.stringify(document, undefined, 2), 'mcp_settings.json', {})
}

describe('a settings file of MCPHub', () => {
  test('is accepted with every key that it may have, and without a warning', () => {
    const { settings, warnings } = read(EVERYTHING)
    expect(warnings).toEqual([])
    expect([...settings.servers.keys()]).toEqual(['full', 'web', 'old'])
  })

  const { settings } = read(EVERYTHING)

  test('has its stdio servers understood', () => {
    expect(settings.servers.get('full')).toMatchObject({
      enabled: true,
      description: 'What it is for.',
      transport: {
        kind: 'stdio',
        command: 'npx',
        args: ['-y', 'a-server'],
        env: { KEY: 'value', PORT: '8080', DEBUG: 'true', npm_config_registry: 'https://npm.example' },
      },
      isolation: 'session',
      startOnDemand: true,
      idleTimeoutMs: 1_000,
      call: { timeoutMs: 5_000, resetTimeoutOnProgress: false, maxTotalTimeoutMs: 9_000 },
    })
  })

  test('has its HTTP servers understood', () => {
    expect(settings.servers.get('web')?.transport).toEqual({
      kind: 'streamable-http',
      url: 'https://example.com/mcp',
      headers: { Authorization: 'Bearer x' },
    })
    expect(settings.servers.get('old')?.transport).toMatchObject({ kind: 'sse', url: 'http://x/sse' })
  })

  test('has its groups understood: plain names, aliases, and selections', () => {
    expect(settings.groups).toMatchObject([
      {
        id: '7f1f5c52-2e9a-4f6d-9c1b-0d5d2f1f0a11',
        name: 'all-parts',
        members: [
          { server: 'web', alias: undefined, tools: 'all', prompts: 'all', resources: 'all' },
          { server: 'full', alias: 'f', tools: new Set(['search']), prompts: 'all', resources: new Set() },
        ],
      },
    ])
  })

  test('has its keys understood, the single legacy one too', () => {
    expect(settings.keys).toMatchObject([
      {
        id: 'k1',
        name: 'first',
        token: 'token-of-first',
        scope: { kind: 'some', groups: new Set(['all-parts']), servers: new Set(['web']) },
      },
      { id: 'k2', name: 'second', token: 'token-of-second', scope: { kind: 'all' } },
      { id: 'bearerAuthKey', name: 'bearerAuthKey', token: 'legacy-key', scope: { kind: 'all' } },
    ])
  })

  test('has its system settings understood', () => {
    expect(settings).toMatchObject({
      bearerAuth: true,
      bearerHeader: 'X-Key',
      nameSeparator: '__',
      globalEndpoint: true,
      groupsByName: true,
      bodyLimitBytes: 1_048_576,
      sessionTimeoutMs: 3_600_000,
    })
  })

  test('of May 2025 is accepted as it was bundled', () => {
    const { settings: old } = read({
      mcpServers: {
        amap: { command: 'npx', args: ['-y', '@amap/amap-maps-mcp-server'], env: { AMAP_MAPS_API_KEY: 'k' } },
        fetch: { command: 'uvx', args: ['mcp-server-fetch'] },
      },
      users: [
        { username: 'admin', password: '$2b$10$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.' },
      ],
      systemConfig: {
        routing: {
          enableGlobalRoute: true,
          enableGroupNameRoute: true,
          enableBearerAuth: false,
          bearerAuthKey: '',
        },
        install: { pythonIndexUrl: '', npmRegistry: '' },
      },
    })
    expect([...old.servers.keys()]).toEqual(['amap', 'fetch'])
    expect(old.bearerAuth).toBe(false)
    expect(old.keys).toEqual([])
  })

  test('that has a disabled server of a type that we do not have yet is accepted', () => {
    const openapi = { type: 'openapi', openapi: { url: 'http://x/openapi.json' }, enabled: false }
    const { settings: some, warnings } = read({ mcpServers: { petstore: openapi } })
    expect(some.servers.get('petstore')?.enabled).toBe(false)
    expect(warnings.join()).toMatch(/petstore\.type: .* The server is disabled, so the others run\./)
  })

  test('may name a disabled server whose URL is a variable that is not set', () => {
    const text = JSON.stringify({ mcpServers: { a: { url: '${NOT_SET}', enabled: false } } })
    expect(interpretSettings(text, 'f', {}).settings.servers.get('a')?.enabled).toBe(false)
  })
})
