import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HOLDERS, type Holder, startApi, type TestApi } from '../../tests/fakes/api.ts'
import { SESSION } from '../../tests/fakes/cluster.ts'
import {
  CREDENTIAL_KINDS,
  type CredentialKind,
  complaintAbout,
  routeMatrix,
} from '../../tests/harness/route-matrix.ts'
import { ROUTES } from './routes.ts'

/** Stands in everything that is alice's. */
const CANARY = 'canary-of-alice'

/**
 * Over the fakes, whose rights are not the real ones, and to which an expired or revoked key is one that they do not know:
 * this shows that the pipeline asks on every route, not what real access answers.
 */
const CREDENTIALS: Readonly<Record<CredentialKind, string | undefined>> = {
  none: undefined,
  wrong: 'wrong',
  expired: 'expired',
  revoked: 'revoked',
  'other user': 'bob',
  'too narrow': 'narrow',
}

const cases = routeMatrix(ROUTES, {
  name: 'hers',
  server: 'hers',
  item: 'tool',
  id: 'g-hers',
  username: 'alice',
  number: '1',
  node: 'n1',
  session: SESSION,
})

test('the matrix has every route with every credential', () => {
  expect(new Set(cases.map(({ route }) => route.name))).toEqual(new Set(ROUTES.map(({ name }) => name)))
  expect(cases).toHaveLength(ROUTES.length * CREDENTIAL_KINDS.length)
})

describe('route × credential', () => {
  let api: TestApi

  beforeAll(async () => {
    const document = {
      mcpServers: { hers: { url: `http://${CANARY}/`, owner: 'alice', description: CANARY } },
      groups: [{ id: 'g-hers', name: `group-${CANARY}`, owner: 'alice', servers: ['hers'] }],
    }
    api = await startApi({ settings: document })
    const made = await api.ask('POST', '/api/auth/keys', { as: 'alice', body: { name: CANARY } })
    expect(made.status).toBe(201)
  })
  afterAll(() => api[Symbol.asyncDispose]())

  test.each(CREDENTIAL_KINDS)('%s', async (kind) => {
    const complaints: string[] = []
    const before = api.settings.revisions.length
    for (const each of cases.filter(({ credential }) => credential === kind)) {
      const as = CREDENTIALS[kind]
      const answer = await api.ask(each.method, each.path, {
        ...(as === undefined ? {} : { as }),
        body: each.body,
      })
      const complaint = complaintAbout(each, answer, CANARY)
      if (complaint) complaints.push(complaint)
    }
    expect(complaints).toEqual([])
    expect(api.settings.revisions).toHaveLength(before)
  })

  test('one permission less than everything is too narrow for exactly the routes that need it', async () => {
    const complaints: string[] = []
    for (const permission of new Set(ROUTES.map((route) => route.permission))) {
      if (permission === 'public') continue
      const may = (HOLDERS['admin'] as Holder).may.filter((each) => each !== permission)
      Object.assign(HOLDERS, { almost: { kind: 'key', keyId: `without ${permission}`, may } })
      for (const each of cases) {
        if (each.credential !== 'too narrow' || each.route.permission !== permission) continue
        const { status } = await api.ask(each.method, each.path, { as: 'almost', body: each.body })
        if (status !== 403) complaints.push(`${each.route.name} without ${permission}: ${status}`)
      }
    }
    expect(complaints).toEqual([])
  })
})
