import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const src = join(root, 'src')

interface Source {
  /** Relative to src/, such as `gateway/front/front.ts`. */
  readonly path: string
  readonly text: string
  readonly imports: readonly string[]
}

const sources: Source[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => {
    const text = readFileSync(join(src, path), 'utf8')
    const imports = [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map(([, target = '']) =>
      normalize(join(dirname(path), target)),
    )
    return { path, text, imports }
  })

/** Folder → layer number, as ARCHITECTURE.md has it. */
function readLayers(): Map<string, number> {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const layers = new Map<string, number>()
  for (const [, number, folders = ''] of text.matchAll(/^\| (\d+) \| ((?:`[\w.]+` ?)+)\|/gm))
    for (const [, folder = ''] of folders.matchAll(/`([\w.]+)`/g)) layers.set(folder, Number(number))
  return layers
}

function top(path: string): string {
  return path.split('/')[0] ?? path
}

/** Lines of code that match, as `path:line: text`, so that a failure shows where to look. */
function occurrences(pattern: RegExp, allowed: (path: string) => boolean): string[] {
  return sources
    .filter(({ path }) => !allowed(path))
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => {
        const code = line.replace(/^\s*(\/\/|\*|\/\*).*/, '')
        return pattern.test(code) ? [`${path}:${index + 1}: ${line.trim()}`] : []
      }),
    )
}

describe('imports', () => {
  const layers = readLayers()

  test('every folder has its place in the table', () => {
    expect(layers.size).toBeGreaterThan(10)
    expect(
      [...new Set(sources.map(({ path }) => top(path)))].filter((folder) => !layers.has(folder)),
    ).toEqual([])
  })

  test('point down only, and not across', () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(
          (target) =>
            top(target) !== top(path) && (layers.get(top(target)) ?? 99) >= (layers.get(top(path)) ?? 0),
        )
        .map((target) => `${path} → ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('of drivers are in compose only', () => {
    const driver = /^upstream\/(stdio|sse|streamable-http)\//
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(
          (target) => driver.test(target) && top(path) !== 'compose' && dirname(target) !== dirname(path),
        )
        .map((target) => `${path} → ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('form no rings', () => {
    const graph = new Map(sources.map(({ path, imports }) => [path, imports]))
    const done = new Set<string>()
    const rings: string[] = []
    const visit = (path: string, trail: readonly string[]) => {
      const at = trail.indexOf(path)
      if (at !== -1) rings.push([...trail.slice(at), path].join(' → '))
      if (at !== -1 || done.has(path)) return
      for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
      done.add(path)
    }
    for (const { path } of sources) visit(path, [])
    expect(rings).toEqual([])
  })

  test('name files that exist', () => {
    const known = new Set(sources.map(({ path }) => path))
    expect(
      sources.flatMap(({ path, imports }) =>
        imports.filter((target) => !known.has(target)).map((target) => `${path} → ${target}`),
      ),
    ).toEqual([])
  })
})

describe('nothing is ambient', () => {
  const outsideKernel = (path: string) => top(path) === 'kernel'

  test('time and randomness come from the kernel', () => {
    expect(
      occurrences(
        /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|performance\.now)\b/,
        outsideKernel,
      ),
    ).toEqual([])
  })
  test('nothing writes to the console', () => {
    expect(occurrences(/\bconsole\./, () => false)).toEqual([])
  })
  test('only main ends the process', () => {
    expect(occurrences(/process\.exit\b/, (path) => path === 'main.ts')).toEqual([])
  })
  test('only main and the CLI see the process environment', () => {
    expect(occurrences(/process\.env\b/, (path) => path === 'main.ts' || top(path) === 'cli')).toEqual([])
  })
  test('no module keeps state of its own', () => {
    expect(occurrences(/^(export )?let /, () => false)).toEqual([])
  })
})

describe('habits', () => {
  test('errors are HubErrors', () => {
    expect(occurrences(/\bnew (Type|Range)?Error\(/, (path) => top(path) === 'kernel')).toEqual([])
  })
  test('revisions are compared in mcp only', () => {
    expect(occurrences(/'20\d\d-\d\d-\d\d'/, (path) => top(path) === 'mcp')).toEqual([])
  })
  test('pure files wait for nothing and know no clock', () => {
    const pure = /(classify|naming|view|scope|hello|attribution|reroute|replica-state|listing)\.ts$/
    const names = sources.filter(({ path }) => pure.test(path) && !path.startsWith('api/'))
    expect(names.length).toBeGreaterThanOrEqual(9)
    expect(names.filter(({ text }) => /\bawait\b|\bClock\b/.test(text)).map(({ path }) => path)).toEqual([])
  })
  test('files stay small enough to read', () => {
    const long = sources.filter(({ text }) => text.split('\n').length > 400).map(({ path }) => path)
    expect(long).toEqual([])
  })
  test('no file is called utils, helpers, common or manager', () => {
    expect(
      sources.filter(({ path }) => /(utils|helpers|common|manager)/.test(path)).map(({ path }) => path),
    ).toEqual([])
  })
  test('the tree names no machine and no registry', () => {
    const texts = [
      'package.json',
      'package-lock.json',
      'README.md',
      'README.zh-CN.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'ARCHITECTURE.md',
    ]
    for (const file of texts) {
      const text = readFileSync(join(root, file), 'utf8')
      expect(`${file} ${/"resolved":/.test(text)}`).toBe(`${file} false`)
    }
  })
})

test('the paths in ARCHITECTURE.md exist', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const named = [...text.matchAll(/`((?:upstream|fleet|gateway|dispatch|front|tests)\/[\w/.-]+\.ts)`/g)].map(
    ([, path = '']) => path,
  )
  const all = new Set([
    ...sources.map(({ path }) => path),
    ...readdirSync(join(root, 'tests')).map((path) => relative(root, join(root, 'tests', path))),
  ])
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter((path) => ![...all].some((known) => known.endsWith(path)))).toEqual([])
})
