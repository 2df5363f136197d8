import { describe, expect, test } from 'vitest'
import { prometheusText } from './prometheus.ts'

describe('metrics as text', () => {
  test('have help, type and a line for each sample', () => {
    const text = prometheusText([
      { name: 'a_total', help: 'How many.', type: 'counter', samples: [{ value: 3 }] },
      {
        name: 'b',
        help: 'Which.',
        type: 'gauge',
        samples: [
          { value: 0.5, labels: { phase: 'running', node: 'n1' } },
          { value: 0, labels: { phase: 'error' } },
        ],
      },
    ])
    expect(text).toBe(
      '# HELP a_total How many.\n# TYPE a_total counter\na_total 3\n' +
        '# HELP b Which.\n# TYPE b gauge\nb{phase="running",node="n1"} 0.5\nb{phase="error"} 0\n',
    )
  })

  test('keep one line a line, whatever stands in labels and help', () => {
    const labels = { x: 'a"b\\c\nd' }
    const text = prometheusText([
      { name: 'c', help: 'one\\\ntwo', type: 'gauge', samples: [{ value: 1, labels }] },
    ])
    expect(text).toBe('# HELP c one\\\\\\ntwo\n# TYPE c gauge\nc{x="a\\"b\\\\c\\nd"} 1\n')
  })

  test('write what is no finite number as Prometheus reads it, and leave out what has no samples', () => {
    const samples = [{ value: Number.NaN }, { value: Number.POSITIVE_INFINITY }, { value: -Infinity }]
    expect(
      prometheusText([
        { name: 'd', help: 'x', type: 'gauge', samples },
        { name: 'none', help: 'x', type: 'gauge', samples: [] },
      ]),
    ).toBe('# HELP d x\n# TYPE d gauge\nd NaN\nd +Inf\nd -Inf\n')
  })
})
