import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { HubError } from '../../domain/errors.ts'

/** What every sealed text begins with: `enc:v1:<key id>:<base64url of iv, ciphertext and tag>`. */
const PREFIX = 'enc:v1:'
const SHAPE = /^enc:v1:([0-9a-f]{8}):([A-Za-z0-9_-]+)$/
const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

interface Key {
  /** 8 hex digits of the key's SHA-256: tells keys apart and nothing of the key. */
  readonly id: string
  readonly bytes: Buffer
}

/** Seals and opens secrets with AES-256-GCM (NIST SP 800-38D), under keys that come from secrets of the operator. */
export class SecretBox {
  readonly #current: Key
  readonly #keys: ReadonlyMap<string, Key>

  /** @param old earlier secrets, under which values may still be sealed */
  constructor(secret: string, old: readonly string[] = []) {
    this.#current = deriveKey(secret)
    this.#keys = new Map([...old.map(deriveKey), this.#current].map((key) => [key.id, key]))
  }

  /** The key under which this box seals. */
  get keyId(): string {
    return this.#current.id
  }

  /** Each time another text: nobody sees from two of them whether they hold the same. */
  seal(text: string): string {
    const { id, bytes } = this.#current
    // Not from a `Random` that is handed in: one iv twice under one key would give both texts away.
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(CIPHER, bytes, iv).setAAD(header(id))
    const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${PREFIX}${id}:${sealed.toString('base64url')}`
  }

  /** @throws HubError `secret.unreadable` for text of another key, or damaged */
  open(sealed: string): string {
    const [, id = '', body = ''] = SHAPE.exec(sealed) ?? []
    const bytes = Buffer.from(body, 'base64url')
    if (bytes.length < IV_BYTES + TAG_BYTES) throw damaged()
    const key = this.#keys.get(id)
    if (!key) throw unknownKey(id, [...this.#keys.keys()])
    const iv = bytes.subarray(0, IV_BYTES)
    const decipher = createDecipheriv(CIPHER, key.bytes, iv, { authTagLength: TAG_BYTES })
    decipher.setAAD(header(id)).setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      const text = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES))
      return Buffer.concat([text, decipher.final()]).toString('utf8')
    } catch (cause) {
      throw damaged(cause)
    }
  }

  /** Whether `sealed` is under the key with which this box seals, and not an older one. */
  isCurrent(sealed: string): boolean {
    return sealed.startsWith(`${PREFIX}${this.#current.id}:`)
  }
}

/** Whether text claims to be sealed; it may still be damaged. */
export function isSealed(text: unknown): text is string {
  return typeof text === 'string' && text.startsWith(PREFIX)
}

/** HKDF (RFC 5869). The info keeps this key apart from any other that the same secret may be used for. */
function deriveKey(secret: string): Key {
  const bytes = Buffer.from(hkdfSync('sha256', secret, '', 'flotilla settings secrets v1', 32))
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes }
}

function header(id: string): Buffer {
  return Buffer.from(`${PREFIX}${id}`)
}

function unknownKey(id: string, known: readonly string[]): HubError {
  return new HubError('secret.unreadable', `The value is sealed under another secret (key ${id}).`, {
    data: { key: id, known },
    cure: 'Set CRYPTO_SECRET_OLD to the secret under which it was written, or enter the value anew.',
  })
}

function damaged(cause?: unknown): HubError {
  return new HubError('secret.unreadable', 'The sealed value is damaged.', {
    cause,
    cure: 'Enter the value anew, or take the settings from a backup.',
  })
}
