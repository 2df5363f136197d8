import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { programs } from './programs.ts'

const run = promisify(execFile)
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
const NAMES = 'IP:127.0.0.1,DNS:localhost'

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Signs certificates, as an operator would with OpenSSL, which is installed where it is missing. */
export class Authority {
  /** Path of its own certificate, a PEM file. */
  readonly ca: string
  readonly #folder: string
  readonly #name: string
  readonly #openssl: string

  /** @param folder takes all files */
  static async make(folder: string, name: string): Promise<Authority> {
    const openssl = join(await programs('openssl', 'openssl', () => ['/usr/bin']), 'openssl')
    const authority = new Authority(folder, name, openssl)
    // Of the same name, so that it is the signature that tells authorities apart.
    const subject = ['-subj', '/CN=authority', '-days', '2']
    await authority.#run(
      'req',
      '-x509',
      ...NEW_KEY,
      ...subject,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    )
    return authority
  }

  private constructor(folder: string, name: string, openssl: string) {
    this.#folder = folder
    this.#name = name
    this.#openssl = openssl
    this.ca = join(folder, `${name}.pem`)
  }

  /**
   * @param days for which it is valid; −1: it has expired
   * @param names whom it is for, in the words of OpenSSL
   */
  async sign(name: string, days = 2, names = NAMES): Promise<Certificate> {
    const file = (end: string) => `${this.#name}-${name}.${end}`
    await writeFile(join(this.#folder, file('ext')), `subjectAltName=${names}\n`)
    const request = ['-subj', `/CN=${name}`, '-keyout', file('key'), '-out', file('csr')]
    await this.#run('req', '-new', ...NEW_KEY, ...request)
    const by = ['-CA', `${this.#name}.pem`, '-CAkey', `${this.#name}.key`, '-CAcreateserial']
    const what = ['-in', file('csr'), '-extfile', file('ext'), '-days', String(days), '-out', file('pem')]
    await this.#run('x509', '-req', ...by, ...what)
    return { cert: join(this.#folder, file('pem')), key: join(this.#folder, file('key')) }
  }

  async #run(...args: string[]): Promise<void> {
    await run(this.#openssl, args, { cwd: this.#folder })
  }
}
