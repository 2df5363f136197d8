import { HubError } from '../domain/errors.ts'

const MAX_USERNAME = 50
const MIN_PASSWORD = 8
const MAX_PASSWORD = 256

/** Who acts in the audit log without being a user, so that no user may be called that. */
const TAKEN = new Set(['anonymous', 'file', 'migration', 'setup', 'system'])

/** What every list of stolen passwords begins with, as far as it has eight characters; and what MCPHub's `admin` had. */
const WORST = new Set(
  `password password1 password12 password123 passw0rd p@ssw0rd p@ssword 12345678 123456789 1234567890 0123456789
  87654321 987654321 11111111 00000000 88888888 12341234 11223344 123123123 1q2w3e4r 1qaz2wsx 1q2w3e4r5t qwertyui
  qwerty12 qwerty123 qwertyuiop asdfghjkl zxcvbnm1 abcdefgh abcd1234 abc12345 a1b2c3d4 iloveyou sunshine princess
  football baseball superman starwars computer internet trustno1 letmein1 welcome1 welcome123 changeme changeme1
  change-me admin123 admin1234 administrator adminadmin rootroot root1234 default1 secret123 test1234 testtest
  mcphub123 flotilla flotilla1 flotilla123`.split(/\s+/),
)

/**
 * A username as it is kept: without the spaces around it.
 * @throws HubError `request.invalid-params`
 */
export function checkUsername(text: string): string {
  const username = text.trim()
  if (username === '' || [...username].length > MAX_USERNAME)
    throw invalid(`A username has 1 to ${MAX_USERNAME} characters.`, 'Choose another one.')
  // Control characters, and such as nobody sees or that turn text around: two names must not look alike because of them.
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(username))
    throw invalid('A username has no control characters and no invisible ones.', 'Choose another one.')
  if (username === '.' || username === '..')
    throw invalid('This username could not stand in a URL.', 'Choose another one.')
  if (TAKEN.has(username.toLowerCase()) || /^key:/i.test(username))
    throw invalid(`The hub itself acts under the name ${JSON.stringify(username)}.`, 'Choose another one.')
  return username
}

/** @throws HubError `request.invalid-params`; never with the password in its text */
export function checkPassword(password: string, username: string): void {
  const length = [...password].length
  if (length < MIN_PASSWORD || length > MAX_PASSWORD || password.trim() === '')
    throw invalid(
      `A password has ${MIN_PASSWORD} to ${MAX_PASSWORD} characters.`,
      'Choose another one; several words are easy to remember and hard to guess.',
    )
  const plain = password.trim().toLowerCase()
  if (plain === username.toLowerCase())
    throw invalid('A password must not be the username.', 'Choose another one.')
  if (WORST.has(plain) || new Set(plain).size === 1)
    throw invalid('This password is among the first that anybody would try.', 'Choose another one.')
}

/** @throws HubError `request.invalid-params` for text that is longer than it may be */
export function checkLength(what: string, text: string | undefined, most: number): void {
  if (text !== undefined && [...text].length > most)
    throw invalid(`The ${what} has at most ${most} characters.`, 'Shorten it.')
}

function invalid(what: string, cure: string): HubError {
  return new HubError('request.invalid-params', what, { cure })
}
