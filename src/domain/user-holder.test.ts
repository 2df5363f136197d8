import { expect, test } from 'vitest'
import { isUserHolder, userHolderId } from './user-holder.ts'

test('everything of a username is one holder, whatever the credential; without one each credential is', () => {
  const ids = [
    { id: 'key:1', username: 'ann' },
    { id: 'key:2', username: 'ann' },
    { id: 'user:ann', username: 'ann' },
    { id: 'key:3', username: 'bob' },
    { id: 'key:4', username: undefined },
    { id: 'key:5', username: undefined },
    { id: 'anonymous', username: undefined },
  ].map(userHolderId)
  expect(new Set(ids.slice(0, 3)).size).toBe(1)
  expect(new Set(ids).size).toBe(5)
  expect(ids.every(isUserHolder)).toBe(true)
})

test('nobody becomes another holder by a clever name', () => {
  const names = ['key:4', 'principal:key:4', 'user:ann', 'anonymous']
  const others = ['key:4', 'user:ann', 'anonymous'].map((id) => userHolderId({ id, username: undefined }))
  for (const username of names) expect(others).not.toContain(userHolderId({ id: 'key:1', username }))
  expect(isUserHolder('4f0c9a')).toBe(false)
})
