import { resolve } from 'node:path'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import { isObject } from '../../mcp/json-rpc.ts'

/** A value that was understood, or why not and what to do. */
export type Parsed<T> = { readonly value: T } | { readonly why: string; readonly cure: string }

/** Values come as text from flags and variables, and as JSON from documents: people write both ways there. */
export type Parse<T> = (given: unknown) => Parsed<T>

const MOST_LABELS = 64
const MOST_COORDINATORS = 16
const LONGEST_TEXT = 255

export interface Role {
  readonly role: ClusterSettings['role']
  readonly calledMaster: boolean
}

const ROLES: Readonly<Record<string, Role>> = {
  coordinator: { role: 'coordinator', calledMaster: false },
  master: { role: 'coordinator', calledMaster: true },
  worker: { role: 'worker', calledMaster: false },
  node: { role: 'worker', calledMaster: false },
  standalone: { role: 'standalone', calledMaster: false },
}

export const readRole: Parse<Role> = (given) => {
  const name = typeof given === 'string' ? given.trim().toLowerCase() : ''
  const role = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined
  if (role) return { value: role }
  return {
    why: `${shown(given)} is no role`,
    cure: 'Give "coordinator" (or "master"), "worker" (or "node"), or "standalone".',
  }
}

export const readSwitch: Parse<boolean> = (given) => {
  if (typeof given === 'boolean') return { value: given }
  const text = typeof given === 'string' ? given.trim().toLowerCase() : ''
  if (['true', '1', 'yes', 'on'].includes(text)) return { value: true }
  if (['false', '0', 'no', 'off'].includes(text)) return { value: false }
  return { why: `${shown(given)} is neither true nor false`, cure: 'Give true or false.' }
}

export const readRunsServers: Parse<boolean | 'auto'> = (given) => {
  if (given === 'auto') return { value: 'auto' }
  const parsed = readSwitch(given)
  return 'value' in parsed ? parsed : { ...parsed, cure: 'Give true, false or "auto".' }
}

/** @param unit after the numbers in texts, such as ` ms` */
export function wholeNumber(least: number, most: number, unit = ''): Parse<number> {
  return (given) => {
    const number = typeof given === 'string' && /^\d{1,15}$/.test(given.trim()) ? Number(given.trim()) : given
    if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most)
      return { value: number }
    return {
      why: `${shown(given)} is no whole number from ${least} to ${most}`,
      cure: `Give a whole number from ${least} to ${most}${unit && `, in${unit} and without a unit`}.`,
    }
  }
}

export const readWeight: Parse<number> = (given) => {
  const number =
    typeof given === 'string' && /^\d{1,6}(\.\d{1,6})?$/.test(given.trim()) ? Number(given.trim()) : given
  if (typeof number === 'number' && number > 0 && number <= 1_000) return { value: number }
  return {
    why: `${shown(given)} is no weight`,
    cure: 'Give a number above 0, at most 1000; 1 is usual, and 2 means twice as many sessions.',
  }
}

export function oneOf<T extends string>(choices: readonly T[]): Parse<T> {
  return (given) => {
    const name = typeof given === 'string' ? given.trim().toLowerCase() : ''
    const choice = choices.find((each) => each === name)
    if (choice !== undefined) return { value: choice }
    return { why: `${shown(given)} is none of the choices`, cure: `Give one of ${choices.join(', ')}.` }
  }
}

export const readName: Parse<string> = (given) => {
  const text = asText(given).trim()
  // Control characters would break the lines of logs and tables.
  if (text !== '' && text.length <= LONGEST_TEXT && !/\p{Cc}/u.test(text)) return { value: text }
  return { why: `${shown(given)} is no name`, cure: `Give 1 to ${LONGEST_TEXT} visible characters.` }
}

export const readNodeId: Parse<string> = (given) => {
  const text = asText(given).trim()
  if (/^[A-Za-z0-9_.-]{1,128}$/.test(text) && !/^\.+$/.test(text)) return { value: text }
  return {
    why: `${shown(given)} is no id of a node`,
    cure: 'Give 1 to 128 letters, digits, "_", "." or "-"; each node needs another. Any characters may stand in its name.',
  }
}

/** A header's or cookie's name (RFC 9110 §5.6.2). */
export const readToken: Parse<string> = (given) => {
  if (typeof given === 'string' && /^[!#$%&'*+.^_`|~A-Za-z0-9-]{1,128}$/.test(given)) return { value: given }
  return {
    why: `${shown(given)} cannot be the name of a header or cookie`,
    cure: 'Give letters, digits, "-" and "_" without spaces.',
  }
}

/** An address to listen on. */
export const readHost: Parse<string> = (given) => {
  const host = typeof given === 'string' ? given.trim().replace(/^\[(.*)\]$/, '$1') : ''
  if (/^[A-Za-z0-9_.:%-]{1,253}$/.test(host)) return { value: host }
  return {
    why: `${shown(given)} is no host name or address`,
    cure: 'Give a name or an IP address, without "http://" and without a port.',
  }
}

/** An address that means something to others. */
export const readReachableHost: Parse<string> = (given) => {
  const parsed = readHost(given)
  if (!('value' in parsed) || !isWildcard(parsed.value)) return parsed
  return {
    why: `${shown(given)} is an address to listen on, at which nobody can be reached`,
    cure: 'Give the name or address by which the other nodes reach this one, or leave it out.',
  }
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '*'
}

export const readPath: Parse<string> = (given) => {
  if (typeof given === 'string' && given.trim() !== '' && given.length <= 4_096 && !given.includes('\0'))
    return { value: resolve(given.trim()) }
  return { why: `${shown(given)} is no path`, cure: 'Give the path of a file.' }
}

/** `a=b,c=d`, or an object. */
export const readLabels: Parse<Readonly<Record<string, string>>> = (given) => {
  const pairs = isObject(given) ? Object.entries(given) : typeof given === 'string' ? splitPairs(given) : []
  const labels: Record<string, string> = {}
  for (const [name, value] of pairs) {
    const text = asText(value).trim()
    if (!/^[A-Za-z0-9_./-]{1,255}$/.test(name) || text.length > LONGEST_TEXT || /[\p{Cc},]/u.test(text))
      return badLabels(`${shown(name)} with ${shown(value)} is no label`)
    if (value === undefined || (typeof value === 'object' && value !== null))
      return badLabels(`the label ${shown(name)} has no value`)
    labels[name] = text
  }
  if (!isObject(given) && typeof given !== 'string') return badLabels(`${shown(given)} holds no labels`)
  if (pairs.length > MOST_LABELS) return badLabels(`there are ${pairs.length} labels`)
  return { value: labels }
}

function badLabels(why: string): Parsed<never> {
  return {
    why,
    cure: `Write "name=value,other=value" or {"name": "value"}: ${MOST_LABELS} labels at most, with names of letters, digits and any of _ . / -.`,
  }
}

function splitPairs(text: string): [string, unknown][] {
  return listOf(text).map((pair) => {
    const at = pair.indexOf('=')
    return at === -1 ? [pair, undefined] : [pair.slice(0, at).trim(), pair.slice(at + 1)]
  })
}

/** One URL, several separated by commas, or a list of them. */
export const readUrls: Parse<readonly string[]> = (given) => {
  const texts: readonly unknown[] =
    typeof given === 'string' ? listOf(given) : Array.isArray(given) ? given : []
  const urls: string[] = []
  for (const text of texts) {
    const parsed = readUrl(text)
    if (!('value' in parsed)) return parsed
    if (!urls.includes(parsed.value)) urls.push(parsed.value)
  }
  if (urls.length > 0 && urls.length <= MOST_COORDINATORS) return { value: urls }
  return {
    why: urls.length === 0 ? `${shown(given)} names no coordinator` : `there are ${urls.length} coordinators`,
    cure: `Give 1 to ${MOST_COORDINATORS} URLs such as http://coordinator:3000, separated by commas.`,
  }
}

function readUrl(given: unknown): Parsed<string> {
  const text = typeof given === 'string' ? given.trim() : ''
  const scheme = /^(https?|wss?):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined || text.length > 2_048 || !URL.canParse(text))
    return {
      why: `${shown(given)} is no URL of a coordinator`,
      cure: 'Give one with its scheme, such as http://coordinator:3000 or https://coordinator.example.com.',
    }
  const url = new URL(text)
  if (url.username || url.password || url.search || url.hash)
    return {
      // What stands in such places is a secret more often than not.
      why: 'the URL of a coordinator has a user, a password, a query or a fragment',
      cure: 'Give scheme, host, port and path only. The secret of the cluster goes into CLUSTER_TOKEN.',
    }
  if (isWildcard(url.hostname.replace(/^\[(.*)\]$/, '$1')))
    return {
      why: `${shown(given)} is an address to listen on, at which nobody can be reached`,
      cure: 'Give the name or address of the coordinator.',
    }
  const secure = scheme === 'https' || scheme === 'wss'
  return { value: `http${secure ? 's' : ''}://${url.host}${url.pathname.replace(/\/+$/, '')}` }
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function asText(given: unknown): string {
  return typeof given === 'string' || typeof given === 'number' || typeof given === 'boolean'
    ? String(given)
    : ''
}

/** A value in an error: short, and in quotes where it is text. */
export function shown(given: unknown): string {
  const text = JSON.stringify(given) ?? 'nothing'
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
