import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HubError } from '../domain/errors.ts'
import { readOptions } from './options.ts'

function refusal(flags: Parameters<typeof readOptions>[0], environment = {}): HubError {
  try {
    readOptions(flags, environment)
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('The options were not refused.')
}

describe('the options of the hub', () => {
  test('are all there when nothing is said', () => {
    const options = readOptions({}, {})
    expect(Object.fromEntries(Object.entries(options).map(([key, { value }]) => [key, value]))).toEqual({
      port: 3_000,
      host: '127.0.0.1',
      dataDir: resolve('data'),
      settings: resolve('mcp_settings.json'),
      logLevel: 'info',
      allowedHosts: [],
      allowedOrigins: [],
    })
    expect(new Set(Object.values(options).map(({ origin }) => origin))).toEqual(new Set(['default']))
  })

  test('[R39] PORT selects the port', () => {
    expect(readOptions({}, { PORT: '3001' }).port).toEqual({
      value: 3_001,
      origin: 'environment',
      name: 'PORT',
    })
    expect(readOptions({}, { PORT: '0' }).port.value).toBe(0)
    expect(readOptions({}, { PORT: '65535' }).port.value).toBe(65_535)
  })

  test('come from the environment', () => {
    const options = readOptions(
      {},
      {
        HOST: '0.0.0.0',
        DATA_DIR: '/var/lib/flotilla',
        MCPHUB_SETTING_PATH: '/etc/mcp.json',
        LOG_LEVEL: 'DEBUG',
        ALLOWED_HOSTS: 'hub.example.com, other.example.com,,',
        ALLOWED_ORIGINS: ' https://app.example.com ',
      },
    )
    expect(options.host.value).toBe('0.0.0.0')
    expect(options.dataDir.value).toBe('/var/lib/flotilla')
    expect(options.settings).toEqual({
      value: '/etc/mcp.json',
      origin: 'environment',
      name: 'MCPHUB_SETTING_PATH',
    })
    expect(options.logLevel.value).toBe('debug')
    expect(options.allowedHosts.value).toEqual(['hub.example.com', 'other.example.com'])
    expect(options.allowedOrigins.value).toEqual(['https://app.example.com'])
  })

  test('come from flags before the environment', () => {
    const environment = {
      PORT: '1',
      HOST: 'e',
      DATA_DIR: '/e',
      MCPHUB_SETTING_PATH: '/e.json',
      LOG_LEVEL: 'error',
    }
    const flags = { port: '2', host: 'f', dataDir: '/f', settings: '/f.json', logLevel: 'warn' }
    const { port, host, dataDir, settings, logLevel } = readOptions(flags, environment)
    expect([port, host, dataDir, settings, logLevel]).toEqual([
      { value: 2, origin: 'flag', name: '--port' },
      { value: 'f', origin: 'flag', name: '--host' },
      { value: '/f', origin: 'flag', name: '--data-dir' },
      { value: '/f.json', origin: 'flag', name: '--settings' },
      { value: 'warn', origin: 'flag', name: '--log-level' },
    ])
  })

  test('that are set to nothing in the environment are not set', () => {
    expect(readOptions({}, { PORT: '', LOG_LEVEL: '' }).port.origin).toBe('default')
  })

  test('have paths from here on', () => {
    expect(readOptions({ settings: 'my.json', dataDir: 'here' }, {})).toMatchObject({
      settings: { value: resolve('my.json') },
      dataDir: { value: resolve('here') },
    })
  })

  test('may name a folder for the settings file in it, as containers of MCPHub do', () => {
    const folder = mkdtempSync(join(tmpdir(), 'flotilla-options-'))
    try {
      expect(readOptions({ settings: folder }, {}).settings.value).toBe(join(folder, 'mcp_settings.json'))
      expect(readOptions({}, { MCPHUB_SETTING_PATH: folder }).settings.value).toBe(
        join(folder, 'mcp_settings.json'),
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('an option that cannot be', () => {
  test.each(['abc', '-1', '65536', '3000.5', '0x10', '1e3', ' 3000', '３０００'])('is a port %j', (port) => {
    const error = refusal({ port })
    expect(error.code).toBe('settings.invalid')
    expect(error.message).toContain(`--port: ${JSON.stringify(port)} is no port`)
    expect(refusal({}, { PORT: port }).message).toContain('PORT: ')
  })

  test('is a log level that does not exist; the cure names those that do', () => {
    const error = refusal({}, { LOG_LEVEL: 'verbose' })
    expect(error.message).toBe('LOG_LEVEL: "verbose" is no log level.')
    expect(error.cure).toContain('trace, debug, info, warn, error, fatal, silent')
  })
})
