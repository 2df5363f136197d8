import { describe, expect, test } from 'vitest'
import { hubSettings, serverSpec } from '../../../tests/fakes/domain.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { toWire } from '../../fleet/link/spec-wire.ts'
import { PinnedServers } from './pinned.ts'

function wire(...spec: Parameters<typeof serverSpec>) {
  return toWire(serverSpec(...spec))
}

function make() {
  const { logger, lines } = recordingLogger()
  return { pinned: new PinnedServers(logger), lines }
}

describe('servers that workers bring along', () => {
  test('are shown beside those of the settings, which come first', () => {
    const { pinned, lines } = make()
    const own = serverSpec('a', { description: 'of the settings' })
    pinned.set('node', [wire('a', { description: 'of the node' }), wire('b')])
    const shown = pinned.addTo(hubSettings([own])).servers
    expect([...shown.keys()]).toEqual(['a', 'b'])
    expect(shown.get('a')).toBe(own)
    expect(lines).toEqual([])
  })

  test('are news once, and not when a node has none and had none', () => {
    const { pinned } = make()
    expect(pinned.set('node', [])).toBe(false)
    expect(pinned.set('node', [wire('a')])).toBe(true)
    expect(pinned.set('node', [wire('a')])).toBe(false)
    expect(pinned.set('node', [])).toBe(true)
    expect(pinned.remove('node')).toBe(true)
    expect(pinned.remove('node')).toBe(false)
  })

  test('of one name and another isolation are named, once as long as it lasts', () => {
    const { pinned, lines } = make()
    pinned.set('one', [wire('a', { isolation: 'session' })])
    pinned.set('two', [wire('a', { isolation: 'shared' })])
    pinned.addTo(hubSettings([]))
    pinned.addTo(hubSettings([]))
    expect(lines).toMatchObject([
      {
        level: 'warn',
        message: expect.stringContaining('Node "two" runs server "a" with isolation "shared"'),
      },
    ])
    pinned.set('two', [wire('a', { isolation: 'session' })])
    pinned.addTo(hubSettings([]))
    pinned.set('two', [wire('a', { isolation: 'shared' })])
    pinned.addTo(hubSettings([]))
    expect(lines).toHaveLength(2)
  })
})
