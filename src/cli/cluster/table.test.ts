import { describe, expect, test } from 'vitest'
import { ago } from './context.ts'
import { displayWidth, table } from './table.ts'
import { clusterTextsFor } from './texts.ts'

describe('a table', () => {
  test('has aligned columns, and nothing behind the last', () => {
    expect(
      table([
        ['ID', 'Name', 'Error'],
        ['node-1', 'x', ''],
        ['n', 'longer name', 'why'],
      ]),
    ).toEqual(['ID      Name         Error', 'node-1  x', 'n       longer name  why'])
    expect(table([])).toEqual([])
  })

  test('is aligned with names in Chinese, which take two columns for each character', () => {
    expect(displayWidth('工作节点 1')).toBe(10)
    expect(displayWidth('é')).toBe(1)
    expect(displayWidth('e\u0301')).toBe(1)
    expect(
      table([
        ['工作节点 1', 'a'],
        ['node', 'b'],
      ]),
    ).toEqual(['工作节点 1  a', 'node        b'])
  })

  test('lets no name of another machine move the cursor or turn the line around', () => {
    const [line] = table([['a\u001b[2Jb\nc\r\u202Ed', 'x']])
    expect(line).toBe('a?[2Jb?c??d  x')
  })
})

test.each([
  [0, '0s ago', '0 秒前'],
  [59_999, '59s ago', '59 秒前'],
  [60_000, '1m ago', '1 分钟前'],
  [7_200_000, '2h ago', '2 小时前'],
  [86_400_000 * 3, '3d ago', '3 天前'],
  [-5_000, '0s ago', '0 秒前'],
])('[R153] %i ms ago is said as %j', (passed, english, chinese) => {
  expect(ago(1_000_000_000 - passed, 1_000_000_000, clusterTextsFor('en'))).toBe(english)
  expect(ago(1_000_000_000 - passed, 1_000_000_000, clusterTextsFor('zh'))).toBe(chinese)
})
