import { HubError } from '../../domain/errors.ts'

const SHORTEST = 16
const FEWEST_DIFFERENT = 6

/** Values that stand in examples and instructions; letters only, so that `change-me` and `CHANGE_ME` are one. */
const SAMPLES = [
  'randomstring',
  'changeme',
  'changethis',
  'replaceme',
  'replacethis',
  'yoursecret',
  'yourrandom',
  'yourcrypto',
  'yoursession',
  'yourpassword',
  'yourkey',
  'yourcluster',
  'yoursecure',
  'mysecret',
  'supersecret',
  'secretkey',
  'cryptosecret',
  'sessionsecret',
  'placeholder',
  'example',
  'password',
]
const SEQUENCES = ['0123456789abcdef', '1234567890', 'abcdefghijklmnop', 'qwertyuiop']

/**
 * Refuses what anybody could guess: sample values of documents must not become the secret of a hub.
 * @param name the variable from which the secret came
 * @throws HubError `settings.invalid`; never with the secret in its text
 */
export function requireStrongSecret(name: string, secret: string): void {
  const weakness = findWeakness(secret)
  if (weakness === undefined) return
  throw new HubError('settings.invalid', `${name} ${weakness}.`, {
    data: { name },
    cure: `Set ${name} to a random value, such as "openssl rand -base64 32" prints; all nodes need the same.`,
  })
}

function findWeakness(secret: string): string | undefined {
  const letters = secret.toLowerCase().replace(/[^a-z]/g, '')
  if (SAMPLES.some((sample) => letters.startsWith(sample)) || letters === 'secret')
    return 'is a sample value, which everybody knows'
  if (secret.length < SHORTEST) return `is too short: it needs at least ${SHORTEST} characters`
  if (new Set(secret).size < FEWEST_DIFFERENT || /^(.{1,12})\1+$/s.test(secret))
    return 'repeats itself, so that it is easy to guess'
  if (SEQUENCES.some((sequence) => secret.toLowerCase().includes(sequence)))
    return 'is a sequence of keys or letters, which is easy to guess'
  return undefined
}
