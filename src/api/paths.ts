import type { Method, Route } from './route.ts'

/** Which methods a path has, when it has any. HEAD goes wherever GET does. */
export function methodsOf(routes: readonly Route[], path: string): string[] {
  const wanted = segmentsOf(path)
  const methods = new Set<Method | 'HEAD'>()
  for (const route of routes) {
    const pattern = segmentsOf(route.path)
    const fits =
      pattern.length === wanted.length &&
      pattern.every((segment, at) => segment.startsWith(':') || segment === wanted[at])
    if (!fits) continue
    methods.add(route.method)
    if (route.method === 'GET') methods.add('HEAD')
  }
  return [...methods].sort()
}

function segmentsOf(path: string): string[] {
  return path.replace(/\/$/, '').split('/').slice(1)
}
