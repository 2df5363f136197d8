import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import { Joining } from './joining.ts'

const URLS = ['http://me:secret@c1:3000/', 'https://c2.example.com/hub']

function codeOf(run: () => void): string {
  try {
    run()
    return 'done'
  } catch (error) {
    return error instanceof HubError ? error.code : String(error)
  }
}

function opened() {
  const dialed: string[] = []
  const joining = new Joining(URLS)
  joining.open((url) => dialed.push(url))
  return { joining, dialed }
}

describe('a worker that is told to join', () => {
  test('dials all coordinators of its settings', () => {
    const { joining, dialed } = opened()
    joining.join()
    expect(dialed).toEqual(URLS)
  })

  test.each([
    ['http://c1:3000', URLS[0]],
    ['ws://c1:3000/', URLS[0]],
    ['https://c2.example.com:443/hub/', URLS[1]],
  ])('dials the one that is named, however %s is written', (given, meant) => {
    const { joining, dialed } = opened()
    joining.join(given)
    expect(dialed).toEqual([meant])
  })

  test.each([
    'http://evil:3000',
    'https://c1:3000',
    'http://c1:3001',
    'http://c1:3000/x',
    'c1',
    '',
    'file:///etc',
  ])('dials nobody for %j, which its settings do not name', (given) => {
    const { joining, dialed } = opened()
    expect(codeOf(() => joining.join(given))).toBe('request.invalid-params')
    expect(dialed).toEqual([])
  })

  test('asks for another try before it is ready, and once it ends', () => {
    const joining = new Joining(URLS)
    expect(codeOf(() => joining.join())).toBe('hub.stopping')
    joining.open(() => undefined)
    joining.open(undefined)
    expect(codeOf(() => joining.join())).toBe('hub.stopping')
  })
})
