import { describe, expect, test } from 'vitest'
import { clusterTextsFor } from './texts.ts'

const EN = clusterTextsFor('en')
const ZH = clusterTextsFor('zh_CN.UTF-8')
const MARKS = ['«1»', '«2»']

/** Every text, with the functions called with arguments that are easily found again. */
function spoken(texts: typeof EN): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [
      key,
      typeof text === 'string' ? text : (text as (...args: string[]) => string)(...MARKS),
    ]),
  )
}

describe('what the commands about a cluster say', () => {
  test('is the same in both languages, and nothing is empty', () => {
    expect(Object.keys(ZH).sort()).toEqual(Object.keys(EN).sort())
    for (const texts of [spoken(EN), spoken(ZH)])
      for (const text of Object.values(texts)) expect(text.trim()).not.toBe('')
  })

  test('puts in what it was given, in both', () => {
    const zh = spoken(ZH)
    for (const [key, text] of Object.entries(spoken(EN))) {
      const original = EN[key as keyof typeof EN]
      const marks = MARKS.filter((mark) => text.includes(mark))
      if (typeof original === 'function') expect([key, marks.length]).toEqual([key, original.length])
      for (const mark of marks) expect(zh[key]).toContain(mark)
    }
  })

  test('is translated', () => {
    for (const [key, text] of Object.entries(spoken(ZH)))
      expect([key, text]).toEqual([key, expect.stringMatching(/\p{Script=Han}/u)])
    for (const text of Object.values(spoken(EN))) expect(text).not.toMatch(/\p{Script=Han}/u)
  })
})
