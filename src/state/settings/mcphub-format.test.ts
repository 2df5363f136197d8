import { describe, expect, test } from 'vitest'
import { interpretSettings } from './interpret.ts'

/** Every key that MCPHub's documents may hold (shared reference, mcphub.md part 1), each with a value that it accepts. */
const EVERY_SERVER_KEY = {
  type: 'stdio',
  command: 'npx',
  args: ['-y', 'a-server'],
  env: { KEY: 'value', PORT: 8080, DEBUG: true },
  enabled: true,
  description: 'What it is for.',
  owner: 'admin',
  visibility: 'group',
  sharedWithUsers: ['alice'],
  createdAt: '2025-05-17T00:00:00.000Z',
  enableKeepAlive: true,
  keepAliveInterval: 60_000,
  tools: { search: { enabled: false }, 'full-fetch': { enabled: true, description: 'Fetches.' } },
  prompts: { greet: { enabled: false } },
  resources: { 'file:///a': { enabled: false, description: 'A' } },
  options: { timeout: 5_000, resetTimeoutOnProgress: false, maxTotalTimeout: 9_000, startOnDemand: true },
  proxy: {
    enabled: true,
    type: 'socks5',
    host: 'p',
    port: 1080,
    username: 'u',
    password: 'p',
    configPath: '/c',
  },
  perSessionClient: true,
  startOnDemand: true,
  idleTimeoutMs: 1_000,
  credentialTemplate: [{ target: 'env', name: 'TOKEN', label: 'Token' }],
}

const EVERY_HTTP_KEY = {
  type: 'streamable-http',
  url: 'https://example.com/mcp',
  headers: { Authorization: 'Bearer x' },
  passthroughHeaders: ['x-tenant'],
  oauth: {
    clientId: 'c',
    clientSecret: 's',
    redirectUri: 'http://localhost/cb',
    scopes: ['read'],
    accessToken: 'a',
    refreshToken: 'r',
    resource: 'https://example.com',
    authorizationEndpoint: 'https://example.com/a',
    tokenEndpoint: 'https://example.com/t',
    revocationEndpoint: 'https://example.com/r',
    dynamicRegistration: {
      enabled: true,
      issuer: 'https://example.com',
      registrationEndpoint: 'https://example.com/reg',
      initialAccessToken: 'i',
      metadata: {
        client_name: 'n',
        redirect_uris: ['http://localhost/cb'],
        grant_types: ['x'],
        contacts: [],
      },
    },
    pendingAuthorization: { authorizationUrl: 'u', state: 's', codeVerifier: 'v', createdAt: 1 },
  },
}

const EVERY_SYSTEM_KEY = {
  routing: {
    enableGlobalRoute: true,
    enableGroupNameRoute: true,
    enableBearerAuth: true,
    bearerAuthKey: 'legacy-key',
    bearerAuthHeaderName: 'X-Key',
    jsonBodyLimit: '1mb',
    skipAuth: false,
  },
  install: {
    pythonIndexUrl: 'https://pypi.example',
    npmRegistry: 'https://npm.example',
    baseUrl: 'http://h',
  },
  smartRouting: {
    enabled: true,
    dbUrl: 'postgres://x',
    basePacingDelayMs: 0,
    embeddingProvider: 'openai',
    embeddingEncodingFormat: 'auto',
    embeddingDimensions: 3,
    llmProviderBaseUrl: 'https://api.example',
    llmProviderApiKey: 'k',
    embeddingModel: 'm',
    progressiveDisclosure: false,
    serverDescriptionMode: 'names',
    openaiApiBaseUrl: 'https://old.example',
    openaiApiKey: 'k',
    openaiApiEmbeddingModel: 'm',
  },
  toolResultCompression: { enabled: false, minTokens: 2_000, maxOutputTokens: 1_200, strategy: 'auto' },
  mcpRouter: { apiKey: 'k', referer: 'r', title: 't', baseUrl: 'https://api.mcprouter.to/v1' },
  nameSeparator: '__',
  enableSessionRebuild: true,
  oauth: {
    enabled: true,
    issuerUrl: 'https://i',
    endpoints: { tokenUrl: 't' },
    clients: [{ client_id: 'c' }],
  },
  oauthServer: { enabled: true, accessTokenLifetime: 3_600, dynamicRegistration: { enabled: true } },
  auth: {
    betterAuth: { enabled: false, providers: { google: { enabled: false } } },
    forwardAuth: { mode: 'jwks' },
  },
  discovery: { enabled: false },
  activityLog: { storeToolPayload: true },
  cluster: {
    enabled: false,
    mode: 'node',
    coordinator: { nodeTimeout: 15_000, cleanupInterval: 30_000, stickySessionTimeout: 3_600_000 },
    node: { id: 'n', name: '工作节点 1', coordinatorUrl: 'http://c', heartbeatInterval: 5_000 },
    stickySession: { enabled: true, strategy: 'consistent-hash', cookieName: 'MCPHUB_NODE' },
  },
}

const EVERYTHING = {
  mcpServers: { full: EVERY_SERVER_KEY, web: EVERY_HTTP_KEY, old: { type: 'sse', url: 'http://x/sse' } },
  groups: [
    {
      id: '7f1f5c52-2e9a-4f6d-9c1b-0d5d2f1f0a11',
      name: 'all-parts',
      description: 'd',
      owner: 'admin',
      visibility: 'private',
      sharedWithUsers: [],
      servers: [
        'web',
        {
          name: 'full',
          alias: 'f',
          tools: ['search'],
          prompts: 'all',
          resources: [],
          pinnedTools: ['search'],
        },
      ],
    },
  ],
  users: [{ username: 'admin', password: '$2b$10$abcdefghijklmnopqrstuv', isAdmin: true, email: 'a@b' }],
  userConfigs: { admin: { routing: {} } },
  bearerKeys: [
    {
      id: 'k1',
      name: 'first',
      token: 'token-of-first',
      enabled: true,
      kind: 'system',
      accessType: 'custom',
      allowedGroups: ['all-parts'],
      allowedServers: ['web'],
    },
    { id: 'k2', name: 'second', token: 'token-of-second', enabled: true, kind: 'user', owner: 'admin' },
  ],
  oauthClients: [{ clientId: 'c' }],
  oauthTokens: [{ accessToken: 'a' }],
  prompts: [{ id: 'p', name: 'p', template: 'Hello {{name}}', arguments: [{ name: 'name' }], enabled: true }],
  resources: [{ id: 'r', uri: 'res://r', content: 'text', mimeType: 'text/plain', enabled: true }],
  systemConfig: EVERY_SYSTEM_KEY,
  cluster: { enabled: false, role: 'master', security: { token: 't' } },
}

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
    expect(settings.groups).toEqual([
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
    expect(settings.keys).toEqual([
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
