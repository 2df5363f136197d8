import { describe, expect, test } from 'vitest'
import type { UsageRecord } from '../../src/domain/activity.ts'
import type { Filter } from '../../src/state/storage/repositories/activity-filter.ts'
import { refusal, type World } from './engine.ts'
import { AWKWARD, access, audit, T, usage } from './records.ts'

const HOUR = 3_600_000

export function activityContract(world: () => World): void {
  const log = () => world().storage.activity
  const ids = async (filter: Filter) => (await log().usage(filter, { limit: 100 })).items.map(({ id }) => id)

  describe('records', () => {
    const full: UsageRecord = usage('u2', {
      timestamp: T + 1,
      username: 'Ünï 😀',
      keyId: 'k1',
      success: false,
      durationMs: 1_234,
      error: AWKWARD.join('\n'),
      arguments: JSON.stringify({ a: AWKWARD }),
      ip: '2001:db8:ffff:ffff:ffff:ffff:255.255.255.255',
      userAgent: 'x'.repeat(3_000),
      sessionId: 's'.repeat(100),
      node: 'node-2',
    })

    test('[R222] of tool calls come back as they were written, newest first, with every column', async () => {
      await log().appendUsage([usage('u1', { username: undefined }), full])
      expect(await log().usage({}, { limit: 10 })).toEqual({
        items: [full, usage('u1', { username: undefined })],
        nextCursor: undefined,
      })
      const row = await world()
        .raw.db.selectFrom('mcp_usage_logs')
        .selectAll()
        .limit(1)
        .executeTakeFirstOrThrow()
      expect(Object.keys(row)).toEqual(
        expect.arrayContaining(
          'id timestamp username server_name tool_name success arguments error_message duration ip user_agent session_id'.split(
            ' ',
          ),
        ),
      )
    })

    test('[R223] of requests come back as they were written, with every column', async () => {
      const record = access('a1', {
        ip: '::1',
        userAgent: 'curl',
        keyId: 'k',
        resource: `/api/${'x'.repeat(999)}`,
      })
      await log().appendAccess([record, access('a2', { username: undefined, timestamp: T + 1 })])
      expect((await log().access({}, { limit: 9 })).items).toEqual([
        access('a2', { username: undefined, timestamp: T + 1 }),
        record,
      ])
      expect((await log().access({ username: 'alice', from: T, to: T + 1 }, { limit: 9 })).items).toEqual([
        record,
      ])
      const row = await world()
        .raw.db.selectFrom('access_logs')
        .selectAll()
        .limit(1)
        .executeTakeFirstOrThrow()
      expect(Object.keys(row)).toEqual(
        expect.arrayContaining(
          'id timestamp username action resource method status_code ip user_agent duration details'.split(
            ' ',
          ),
        ),
      )
    })

    test('of changes come back as they were written', async () => {
      const record = audit('x1', { success: false, details: '{"a":"é"}', ip: '::1' })
      await log().appendAudit([record, audit('x2', { timestamp: T + 1 })])
      expect((await log().audit({}, { limit: 9 })).items).toEqual([audit('x2', { timestamp: T + 1 }), record])
      expect((await log().audit({ to: T + 1 }, { limit: 9 })).items).toEqual([record])
    })

    test('that are written again are there once, as they were at first', async () => {
      await log().appendUsage([usage('u1'), usage('u2')])
      await log().appendUsage([usage('u2', { tool: 'other' }), usage('u3'), usage('u3')])
      expect((await log().usage({}, { limit: 9 })).items).toEqual([usage('u3'), usage('u2'), usage('u1')])
      await log().appendAccess([access('a'), access('a')])
      await log().appendAudit([audit('a'), audit('a')])
      await log().appendUsage([])
    })

    test('that two hubs write at once are all there, once each', async () => {
      const some = (from: number) =>
        Array.from({ length: 50 }, (_, n) => usage(`u${String(from + n).padStart(3, '0')}`))
      await Promise.all([
        ...[0, 25, 50].map((from) => log().appendUsage(some(from))),
        ...[75, 50, 10].map((from) => world().other.activity.appendUsage(some(from))),
      ])
      const { items } = await log().usage({}, { limit: 500 })
      expect(items).toHaveLength(125)
      expect(new Set(items.map(({ id }) => id)).size).toBe(125)
    })

    test('by the thousand are written in one go', async () => {
      const many = Array.from({ length: 3_001 }, (_, n) =>
        usage(`u${String(n).padStart(5, '0')}`, { timestamp: T + n }),
      )
      await log().appendUsage(many)
      expect(await log().aggregate({}, [], 1)).toMatchObject([{ calls: 3_001 }])
    })

    test('are never refused: names that do not fit end with an ellipsis', async () => {
      await log().appendUsage([
        usage('u', { tool: '😀'.repeat(300), server: 's\0', username: 'n'.repeat(60) }),
      ])
      const [item] = (await log().usage({}, { limit: 1 })).items
      expect(item?.tool).toBe(`${'😀'.repeat(254)}…`)
      expect([item?.server, item?.username]).toEqual(['s\ufffd', `${'n'.repeat(49)}…`])
    })
  })

  describe('a filter', () => {
    test('keeps what matches all of its parts', async () => {
      await log().appendUsage([
        usage('a', { timestamp: T, server: 's1', tool: 't1', keyId: 'k1' }),
        usage('b', { timestamp: T + 1, server: 's2', tool: 't1', username: 'bob' }),
        usage('c', { timestamp: T + 2, server: 's2', tool: 't2', success: false }),
        usage('d', { timestamp: T + 3, server: 'S2', tool: 't2', username: undefined }),
      ])
      expect(await ids({ from: T + 1, to: T + 3 })).toEqual(['c', 'b'])
      expect(await ids({ username: 'bob' })).toEqual(['b'])
      expect(await ids({ keyId: 'k1' })).toEqual(['a'])
      expect(await ids({ server: 's2' })).toEqual(['c', 'b'])
      expect(await ids({ tool: 't1', server: 's2' })).toEqual(['b'])
      expect(await ids({ success: false })).toEqual(['c'])
      expect(await ids({ success: true, servers: ['s2', 'S2'] })).toEqual(['d', 'b'])
      expect(await ids({ servers: [] })).toEqual([])
      expect(await log().aggregate({ servers: [] }, ['server'], 9)).toEqual([])
    })
  })

  describe('pages', () => {
    test('together give everything once, also records of one moment, and stay as they are while others are written', async () => {
      const all = Array.from({ length: 25 }, (_, n) =>
        usage(`u${String(n).padStart(2, '0')}`, { timestamp: T + Math.floor(n / 10) }),
      )
      await log().appendUsage(all)
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await log().usage({}, { limit: 4, ...(cursor === undefined ? {} : { cursor }) })
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.nextCursor
        await log().appendUsage([usage(`v${seen.length}`, { timestamp: T + 100 })])
      } while (cursor !== undefined)
      expect(seen).toEqual(all.map(({ id }) => id).toReversed())
    })

    test('of all three kinds go on where they stopped', async () => {
      await log().appendAccess(['a', 'b', 'c'].map((id) => access(id)))
      await log().appendAudit(['a', 'b', 'c'].map((id) => audit(id)))
      for (const kind of ['access', 'audit'] as const) {
        const first = await log()[kind]({}, { limit: 2 })
        expect(first.items.map(({ id }) => id)).toEqual(['c', 'b'])
        const rest = await log()[kind]({}, { limit: 2, cursor: first.nextCursor ?? '' })
        expect([rest.items.map(({ id }) => id), rest.nextCursor]).toEqual([['a'], undefined])
      }
    })

    test.each([
      '',
      'x',
      'e30',
      Buffer.from('[1]').toString('base64url'),
      Buffer.from('[1,"a",2]').toString('base64url'),
    ])('cannot be had with the cursor %j', async (cursor) => {
      expect(await refusal(log().usage({}, { limit: 1, cursor }))).toBe('request.invalid-params')
    })
  })

  describe('numbers', () => {
    const midnight = Date.UTC(2026, 10, 21)

    test('are counted per group, most calls first', async () => {
      await log().appendUsage([
        usage('a', { server: 's1', tool: 't1', durationMs: 10, timestamp: midnight - 1 }),
        usage('b', { server: 's1', tool: 't1', durationMs: 20, success: false, timestamp: midnight }),
        usage('c', {
          server: 's1',
          tool: 't2',
          durationMs: 60,
          username: undefined,
          timestamp: midnight + HOUR,
        }),
        usage('d', { server: 's2', tool: 't1', durationMs: 5, keyId: 'k', timestamp: midnight + HOUR + 1 }),
      ])
      expect(await log().aggregate({}, ['server'], 9)).toEqual([
        { group: { server: 's1' }, calls: 3, errors: 1, averageMs: 30, maxMs: 60 },
        { group: { server: 's2' }, calls: 1, errors: 0, averageMs: 5, maxMs: 5 },
      ])
      expect(await log().aggregate({}, ['server', 'tool'], 2)).toMatchObject([
        { group: { server: 's1', tool: 't1' }, calls: 2, averageMs: 15 },
        { group: { server: 's1', tool: 't2' }, calls: 1 },
      ])
      expect(await log().aggregate({}, ['username'], 9)).toMatchObject([
        { group: { username: 'alice' }, calls: 3 },
        { group: { username: null }, calls: 1 },
      ])
      expect(await log().aggregate({ to: midnight }, [], 9)).toEqual([
        { group: {}, calls: 1, errors: 0, averageMs: 10, maxMs: 10 },
      ])
      expect(await log().aggregate({ server: 'none' }, [], 9)).toEqual([])
      const keys = await log().aggregate({}, ['keyId'], 9)
      expect(keys.map(({ group, calls }) => [group.keyId, calls])).toEqual([
        [null, 3],
        ['k', 1],
      ])
    })

    test('are counted per day and hour of UTC', async () => {
      await log().appendUsage([
        usage('a', { timestamp: midnight - 1 }),
        usage('b', { timestamp: midnight }),
        usage('c', { timestamp: midnight + HOUR - 1 }),
        usage('d', { timestamp: midnight + HOUR }),
      ])
      const days = await log().aggregate({}, ['day'], 9)
      expect(days.map(({ group, calls }) => [group.day, calls])).toEqual([
        ['2026-11-21', 3],
        ['2026-11-20', 1],
      ])
      const hours = await log().aggregate({}, ['hour', 'server'], 9)
      expect(hours.map(({ group, calls }) => [group.hour, group.server, calls])).toEqual([
        ['2026-11-21T00:00:00Z', 'time', 2],
        ['2026-11-20T23:00:00Z', 'time', 1],
        ['2026-11-21T01:00:00Z', 'time', 1],
      ])
    })
  })

  describe('old records', () => {
    test('are removed oldest first, as many as were asked for', async () => {
      await log().appendUsage(Array.from({ length: 10 }, (_, n) => usage(`u${n}`, { timestamp: T + n })))
      await log().appendAccess([access('a'), access('b', { timestamp: T + 9 })])
      await log().appendAudit([audit('a'), audit('b', { timestamp: T + 9 })])
      expect(await log().prune('usage', T + 5, 3)).toBe(3)
      expect(await ids({})).toEqual(['u9', 'u8', 'u7', 'u6', 'u5', 'u4', 'u3'])
      expect([await log().prune('usage', T + 5, 100), await log().prune('usage', T + 5, 100)]).toEqual([2, 0])
      expect([await log().prune('access', T + 9, 9), await log().prune('audit', T + 9, 9)]).toEqual([1, 1])
      expect((await log().access({}, { limit: 9 })).items.map(({ id }) => id)).toEqual(['b'])
    })
  })
}
