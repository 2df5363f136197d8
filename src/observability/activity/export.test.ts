import { describe, expect, test } from 'vitest'
import { usageRecord } from '../../../tests/fakes/activity-entries.ts'
import { exportCsv, exportNdjson, type ReadPage, USAGE_COLUMNS } from './export.ts'

/** Pages of the items, and which cursors were asked for. */
function paged<T>(...pages: T[][]): { read: ReadPage<T>; cursors: (string | undefined)[] } {
  const cursors: (string | undefined)[] = []
  const read: ReadPage<T> = async (cursor) => {
    cursors.push(cursor)
    const at = Number(cursor ?? 0)
    return { items: pages[at] ?? [], nextCursor: at + 1 < pages.length ? String(at + 1) : undefined }
  }
  return { read, cursors }
}

async function all(chunks: AsyncGenerator<string>): Promise<string> {
  let text = ''
  for await (const chunk of chunks) text += chunk
  return text
}

describe('an export', () => {
  test('goes through all pages, one at a time and as they are asked for', async () => {
    const { read, cursors } = paged([{ n: 1 }, { n: 2 }], [], [{ n: 3 }])
    const chunks = exportNdjson(read)
    expect((await chunks.next()).value).toBe('{"n":1}\n{"n":2}\n')
    expect(cursors).toEqual([undefined])
    expect(await all(chunks)).toBe('{"n":3}\n')
    expect(cursors).toEqual([undefined, '1', '2'])
  })

  test('of nothing is empty, or a header alone', async () => {
    expect(await all(exportNdjson(paged([]).read))).toBe('')
    expect(await all(exportCsv(['a', 'b'], paged<{ a: string; b: string }>([]).read))).toBe('a,b\r\n')
  })
})

describe('CSV', () => {
  test('has one line for each record, with readable times and empty cells for what is unknown', async () => {
    const record = usageRecord('id-1', { username: undefined, timestamp: 0, error: 'no, "never"\nagain' })
    expect(await all(exportCsv(USAGE_COLUMNS, paged([record]).read))).toBe(
      `${USAGE_COLUMNS.join(',')}\r\n` +
        'id-1,1970-01-01T00:00:00.000Z,,k1,time,now,true,12,"no, ""never""\nagain",,127.0.0.1,test/1.0,s1,n1\r\n',
    )
  })

  test.each([
    ['=HYPERLINK("http://x")', `"'=HYPERLINK(""http://x"")"`],
    ['+1+1', "'+1+1"],
    ['-2+3', "'-2+3"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', `"'\r=1"`],
    [' =1', "' =1"],
    ['＝1', "'＝1"],
    ['a=1', 'a=1'],
    ['', ''],
  ])('cannot be made to run %j', async (text, cell) => {
    expect(await all(exportCsv(['a'], paged([{ a: text }]).read))).toBe(`a\r\n${cell}\r\n`)
  })

  test('leaves numbers as they are', async () => {
    expect(await all(exportCsv(['a'], paged([{ a: -1 }, { a: 0 }]).read))).toBe('a\r\n-1\r\n0\r\n')
  })
})
