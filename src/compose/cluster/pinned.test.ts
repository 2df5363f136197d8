import { describe, expect, test } from 'vitest'
import { hubSettings, serverSpec } from '../../../tests/fakes/domain.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { PinnedServers } from './pinned.ts'

function make() {
  const { logger, lines } = recordingLogger()
  return { pinned: new PinnedServers(logger), lines }
}

describe('servers that workers bring along', () => {
  test('are shown beside those of the settings, which come first', () => {
    const { pinned, lines } = make()
    const own = serverSpec('a', { description: 'of the settings' })
    pinned.set('node', [serverSpec('a', { description: 'of the node' }), serverSpec('b')], '1')
    const shown = pinned.addTo(hubSettings([own])).servers
    expect([...shown.keys()]).toEqual(['a', 'b'])
    expect(shown.get('a')).toBe(own)
    expect(lines).toEqual([])
  })

  test('are news once, and not when a node has none and had none', () => {
    const { pinned } = make()
    expect(pinned.set('node', [], '[]')).toBe(false)
    expect(pinned.set('node', [serverSpec('a')], '1')).toBe(true)
    expect(pinned.set('node', [serverSpec('a')], '1')).toBe(false)
    expect(pinned.set('node', [], '[]')).toBe(true)
    expect(pinned.remove('node')).toBe(true)
    expect(pinned.remove('node')).toBe(false)
  })

  test('of one name and another isolation are named, once as long as it lasts', () => {
    const { pinned, lines } = make()
    pinned.set('one', [serverSpec('a', { isolation: 'session' })], '1')
    pinned.set('two', [serverSpec('a', { isolation: 'shared' })], '1')
    pinned.addTo(hubSettings([]))
    pinned.addTo(hubSettings([]))
    expect(lines).toMatchObject([
      {
        level: 'warn',
        message: expect.stringContaining('Node "two" runs server "a" with isolation "shared"'),
      },
    ])
    pinned.set('two', [serverSpec('a', { isolation: 'session' })], '2')
    pinned.addTo(hubSettings([]))
    pinned.set('two', [serverSpec('a', { isolation: 'shared' })], '3')
    pinned.addTo(hubSettings([]))
    expect(lines).toHaveLength(2)
  })
})
