import { readFileSync } from 'node:fs'
import { HubError, messageOf } from '../../domain/errors.ts'

export interface RemoteFlags {
  readonly url?: string
  readonly key?: string
  readonly keyFile?: string
}

/** Which hub is asked, and with which key. */
export interface Remote {
  /** Without a slash at its end. */
  readonly url: string
  readonly key: string | undefined
}

const LONGEST_KEY = 4_096

/**
 * Flags before environment before this machine's port.
 * @throws HubError `request.invalid-params` that names the flag or variable
 */
export function readRemote(
  { url, key, keyFile }: RemoteFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Remote {
  const [text, name] = url === undefined ? [environment['FLOTILLA_URL'], 'FLOTILLA_URL'] : [url, '--url']
  return {
    url: text ? readUrl(text, name) : `http://127.0.0.1:${readPort(environment['PORT'])}`,
    key: key ?? (keyFile === undefined ? environment['FLOTILLA_KEY'] || undefined : readKey(keyFile)),
  }
}

function readUrl(text: string, name: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol))
    throw new HubError('request.invalid-params', `${name}: this is no http or https URL.`, {
      cure: 'Give the address of the hub, such as http://127.0.0.1:3000.',
    })
  if (url.username !== '' || url.password !== '')
    throw new HubError('request.invalid-params', `${name}: a URL with a password in it is not taken.`, {
      cure: 'Give the key in FLOTILLA_KEY, or in a file with --key-file.',
    })
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function readPort(text: string | undefined): number {
  const port = Number(text || 3000)
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new HubError('request.invalid-params', `PORT: ${JSON.stringify(text)} is no port of a running hub.`, {
    cure: 'Name the hub with --url or FLOTILLA_URL.',
  })
}

function readKey(path: string): string {
  const key = readText(path).trim()
  if (key !== '' && key.length <= LONGEST_KEY && !/\s/.test(key)) return key
  throw new HubError('request.invalid-params', `--key-file: ${path} does not hold a key.`, {
    cure: 'Write the key into it, and nothing else.',
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new HubError('request.invalid-params', `--key-file: ${path} cannot be read: ${messageOf(cause)}.`, {
      cause,
      cure: 'Check the path and its permissions.',
    })
  }
}
