import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { NodeFacts } from '../../domain/cluster.ts'
import { HubError, isHubErrorCode } from '../../domain/errors.ts'
import { violation } from './frames.ts'
import { nodeFactsSchema, nodeIdSchema } from './node-facts.ts'

/**
 * How two nodes come to trust each other. Four messages, JSON text each:
 * dialer: hello (versions, its nonce and id) · acceptor: challenge (its own) · dialer: proof, facts · acceptor: proof, facts.
 * A proof is an HMAC under the cluster token over all that was said, so the token never crosses the wire, and what somebody has recorded proves
 * nothing to another nonce. The dialer proves first: an acceptor answers strangers, and gives them nothing to guess the token by.
 */
export const LINK_PROTOCOL = 1
/** The oldest protocol that this build speaks. */
export const OLDEST_LINK_PROTOCOL = 1
export const MAX_HANDSHAKE_BYTES = 16 * 1024
const CONTEXT = 'flotilla link'

const nonce = z.string().regex(/^[\w-]{16,64}$/)
const proof = z
  .string()
  .regex(/^[\w-]{43}$/)
  .optional()
const versions = {
  flotilla: z.string().max(64),
  protocol: z.number().int().min(1).max(65_535),
  oldest: z.number().int().min(1).max(65_535),
}

const helloSchema = z.object({
  ...versions,
  nonce,
  id: nodeIdSchema,
  /** Of this start of the process. */
  instance: nonce,
  /** Counts up: of two links of one process the later is wanted. */
  attempt: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  hasToken: z.boolean(),
})
const challengeSchema = z.object({ ...versions, nonce, id: nodeIdSchema, hasToken: z.boolean() })
/** The facts are JSON text within: the proof covers that text. */
const proofSchema = z.object({ proof, facts: z.string() })
const refusalSchema = z.object({
  refused: z.object({
    code: z.string().max(64),
    what: z.string().max(1_000),
    cure: z.string().max(1_000).optional(),
  }),
})

type Hello = z.infer<typeof helloSchema>
type Challenge = z.infer<typeof challengeSchema>

/** A node that has proved who it is. */
export interface Newcomer {
  readonly facts: NodeFacts
  readonly instance: string
  readonly attempt: number
}

export interface AcceptorTerms {
  readonly self: NodeFacts
  /** The cluster's token and those that still count while it is exchanged; empty = none is needed. */
  readonly tokens: readonly string[]
  /** Why a node without a token may not link here; undefined = it may. */
  readonly tokenless: HubError | undefined
  readonly nonce: string
}

/** The acceptor's half: `challenge`, `verify`, `welcome`, in this order. */
export class AcceptorHandshake {
  readonly #terms: AcceptorTerms
  #hello: { text: string; message: Hello } | undefined
  #challenge = ''
  /** What the dialer's proof covers, and the token under which it holds. */
  #proven: { transcript: readonly string[]; token: string | undefined } | undefined

  constructor(terms: AcceptorTerms) {
    this.#terms = terms
  }

  /**
   * @param text the dialer's hello
   * @returns the answer
   * @throws HubError why the dialer is refused
   */
  challenge(text: string): string {
    const message = read(helloSchema, text)
    const { self, tokens, nonce, tokenless } = this.#terms
    checkVersions(message, self)
    if (message.hasToken !== tokens.length > 0) throw oneSided(message.hasToken)
    if (!message.hasToken && tokenless) throw tokenless
    if (message.id === self.id) throw sameId(self)
    this.#hello = { text, message }
    this.#challenge = JSON.stringify({
      ...ourVersions(self),
      nonce,
      id: self.id,
      hasToken: tokens.length > 0,
    } satisfies Challenge)
    return this.#challenge
  }

  /**
   * @param text the dialer's proof
   * @throws HubError why the dialer is refused
   */
  verify(text: string): Newcomer {
    const hello = this.#hello
    if (!hello) throw violation('a proof came before a hello')
    const { proof: given, facts: said } = read(proofSchema, text)
    const facts = read(nodeFactsSchema, said)
    if (facts.id !== hello.message.id) throw violation('a node changed its id while it was greeted')
    const { tokens } = this.#terms
    const transcript = [hello.text, this.#challenge, said]
    // All are tried, so that the time does not tell which one it was.
    const matching = tokens.filter((token) => isEqual(given, prove(token, 'dialer', transcript)))
    if (tokens.length > 0 && matching.length === 0) throw wrongToken()
    this.#proven = { transcript, token: matching[0] }
    const { instance, attempt } = hello.message
    return { facts, instance, attempt }
  }

  /** The last message; only after `verify`. */
  welcome(): string {
    if (!this.#proven) throw violation('a node was welcomed before it had proved itself')
    const { transcript, token } = this.#proven
    return encodeProof('acceptor', token, transcript, this.#terms.self)
  }
}

export interface DialerTerms {
  readonly self: NodeFacts
  readonly token: string | undefined
  /** Why this node may not link there without a token; undefined = it may. */
  readonly tokenless: HubError | undefined
  readonly nonce: string
  readonly instance: string
  readonly attempt: number
}

/** The dialer's half: `hello`, `prove`, `confirm`, in this order. */
export class DialerHandshake {
  readonly #terms: DialerTerms
  readonly #hello: string
  #transcript: readonly string[] = []
  #acceptorId: string | undefined

  constructor(terms: DialerTerms) {
    this.#terms = terms
    const { self, nonce, instance, attempt, token } = terms
    this.#hello = JSON.stringify({
      ...ourVersions(self),
      nonce,
      id: self.id,
      instance,
      attempt,
      hasToken: token !== undefined,
    } satisfies Hello)
  }

  hello(): string {
    return this.#hello
  }

  /**
   * @param text the acceptor's challenge
   * @throws HubError why it refuses, or is refused
   */
  prove(text: string): string {
    const message = read(challengeSchema, text)
    const { self, token, tokenless } = this.#terms
    checkVersions(message, self)
    if (message.hasToken !== (token !== undefined)) throw oneSided(token !== undefined)
    if (token === undefined && tokenless) throw tokenless
    const greeting = [this.#hello, text]
    this.#transcript = [...greeting, JSON.stringify(self)]
    this.#acceptorId = message.id
    return encodeProof('dialer', token, greeting, self)
  }

  /**
   * @param text the acceptor's welcome
   * @throws HubError why it refuses, or is refused
   */
  confirm(text: string): NodeFacts {
    const { proof: given, facts: said } = read(proofSchema, text)
    const facts = read(nodeFactsSchema, said)
    if (facts.id !== this.#acceptorId) throw violation('a node changed its id while it was greeted')
    const { token } = this.#terms
    if (token !== undefined && !isEqual(given, prove(token, 'acceptor', [...this.#transcript, said])))
      throw wrongToken()
    return facts
  }
}

/** The last word to a node that is not let in. */
export function encodeRefusal({ code, message, cure }: HubError): string {
  const cut = (text: string) => text.slice(0, 1_000)
  return JSON.stringify({ refused: { code, what: cut(message), ...(cure ? { cure: cut(cure) } : {}) } })
}

/** What `encodeRefusal` has made; undefined for any other text. */
export function readRefusal(text: string): HubError | undefined {
  try {
    const { data } = refusalSchema.safeParse(JSON.parse(text))
    return data && refusedBy(data.refused)
  } catch {
    // Whatever answers here need not be a node.
    return undefined
  }
}

function encodeProof(
  role: 'dialer' | 'acceptor',
  token: string | undefined,
  transcript: readonly string[],
  self: NodeFacts,
): string {
  const facts = JSON.stringify(self)
  const proven = token === undefined ? {} : { proof: prove(token, role, [...transcript, facts]) }
  const text = JSON.stringify({ ...proven, facts })
  if (Buffer.byteLength(text) <= MAX_HANDSHAKE_BYTES) return text
  throw new HubError('settings.invalid', 'What this node says of itself is too long for a link.', {
    cure: `Give it fewer or shorter labels: all together must fit into ${MAX_HANDSHAKE_BYTES} bytes.`,
  })
}

/** The role keeps a proof from being sent back to where it came from; as JSON no two lists of texts are the same. */
function prove(token: string, role: 'dialer' | 'acceptor', said: readonly string[]): string {
  return createHmac('sha256', token)
    .update(JSON.stringify([CONTEXT, role, ...said]))
    .digest('base64url')
}

function isEqual(given: string | undefined, expected: string): boolean {
  if (given?.length !== expected.length) return false
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}

function read<T>(schema: z.ZodType<T>, text: string): T {
  const value = parse(text)
  const refusal = refusalSchema.safeParse(value)
  if (refusal.success) throw refusedBy(refusal.data.refused)
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where = issue?.path.join('.') || 'a message of the handshake'
  throw violation(`${where.slice(0, 100)}: ${issue?.message ?? 'is not valid'}`)
}

function parse(text: string): unknown {
  if (Buffer.byteLength(text) > MAX_HANDSHAKE_BYTES) throw violation('a message of the handshake is too long')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw violation('a message of the handshake is not JSON', cause)
  }
}

function refusedBy({ code, what, cure }: z.infer<typeof refusalSchema>['refused']): HubError {
  const known = isHubErrorCode(code) ? code : 'link.refused'
  return new HubError(known, `The other node refused: ${what}`, { ...(cure ? { cure } : {}) })
}

function ourVersions({ version }: NodeFacts): { flotilla: string; protocol: number; oldest: number } {
  return { flotilla: version, protocol: LINK_PROTOCOL, oldest: OLDEST_LINK_PROTOCOL }
}

/** Nodes are updated one after the other, so neighbouring versions must work together; more is not tested. */
function checkVersions(theirs: Hello | Challenge, self: NodeFacts): void {
  const ours = ourVersions(self)
  const speak = theirs.oldest <= ours.protocol && theirs.protocol >= ours.oldest
  const [theirMajor, theirMinor] = majorMinor(theirs.flotilla)
  const [ourMajor, ourMinor] = majorMinor(ours.flotilla)
  if (speak && theirMajor === ourMajor && Math.abs(theirMinor - ourMinor) <= 1) return
  throw new HubError(
    'link.version',
    `Flotilla ${ours.flotilla} (link protocol ${ours.oldest} to ${ours.protocol}) and Flotilla ${theirs.flotilla} (${theirs.oldest} to ${theirs.protocol}) do not work together.`,
    {
      cure: 'Nodes may be one minor version apart: update the older one.',
      data: { ours: ours.flotilla, theirs: theirs.flotilla },
    },
  )
}

function majorMinor(version: string): [major: number, minor: number] {
  const [, major, minor] = /^(\d{1,6})\.(\d{1,6})\./.exec(version) ?? []
  if (major === undefined || minor === undefined) throw violation('a version is not like 1.2.3')
  return [Number(major), Number(minor)]
}

function wrongToken(): HubError {
  return new HubError('link.refused', 'The cluster tokens of the two nodes are not the same.', {
    cure: 'Set the same CLUSTER_TOKEN on all nodes.',
  })
}

/** @param hasToken whether the dialer has one; the error reads the same on both sides */
function oneSided(hasToken: boolean): HubError {
  const [having, lacking] = hasToken
    ? ['the node that connects', 'the coordinator']
    : ['the coordinator', 'the node that connects']
  return new HubError('link.refused', `Only ${having} has a cluster token, and ${lacking} has none.`, {
    cure: `Set the same CLUSTER_TOKEN on ${lacking}.`,
  })
}

function sameId({ id }: NodeFacts): HubError {
  return new HubError(
    'node.duplicate',
    `The node that connects has the coordinator's own id ${JSON.stringify(id)}.`,
    {
      cure: 'Do not copy a data directory between nodes, or give each node a NODE_ID of its own; and check that a coordinator is not told to join itself.',
    },
  )
}
