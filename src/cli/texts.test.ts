import { describe, expect, test } from 'vitest'
import { textsFor } from './texts.ts'

const EN = textsFor('en')
const ZH = textsFor('zh-CN')
const MARKS = ['«1»', '«2»', '«3»', '«4»']

/** Every text, with the functions called with arguments that are easily found again. */
function spoken(texts: typeof EN): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [
      key,
      typeof text === 'string' ? text : (text as (...args: string[]) => string)(...MARKS),
    ]),
  )
}

describe('the texts of the command line', () => {
  test('are the same in both languages, and none is empty', () => {
    expect(Object.keys(ZH).sort()).toEqual(Object.keys(EN).sort())
    for (const texts of [spoken(EN), spoken(ZH)])
      for (const text of Object.values(texts)) expect(text.trim()).not.toBe('')
  })

  test('say the same things in both: each puts in what it was given', () => {
    const [en, zh] = [spoken(EN), spoken(ZH)]
    for (const [key, text] of Object.entries(en)) {
      const marks = MARKS.filter((mark) => text.includes(mark))
      const function_ = EN[key as keyof typeof EN]
      if (typeof function_ === 'function') expect(marks).toHaveLength(function_.length)
      for (const mark of marks) expect(zh[key]).toContain(mark)
    }
  })

  test('are translated: each of the Chinese ones has Chinese characters or nothing to translate', () => {
    const untranslated = Object.entries(spoken(ZH)).filter(([, text]) => !/\p{Script=Han}/u.test(text))
    expect(untranslated.map(([key]) => key)).toEqual(['down'])
    for (const text of Object.values(spoken(EN))) expect(text).not.toMatch(/\p{Script=Han}/u)
  })

  test.each([
    ['zh', ZH],
    ['zh-CN', ZH],
    ['zh_CN.UTF-8', ZH],
    ['ZH', ZH],
    ['en', EN],
    ['en_US.UTF-8', EN],
    ['C', EN],
    ['de_DE', EN],
    ['', EN],
    [undefined, EN],
  ])('for %j are in the right language', (language, texts) => {
    expect(textsFor(language)).toBe(texts)
  })
})
