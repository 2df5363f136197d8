import type { Route } from '../../src/api/route.ts'

/** How somebody comes to the API; `none` comes without anything. */
export const CREDENTIAL_KINDS = ['none', 'wrong', 'expired', 'revoked', 'other user', 'too narrow'] as const
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number]

/** One request of the matrix route × credential, with what must become of it. */
export interface MatrixCase {
  readonly route: Route
  readonly credential: CredentialKind
  readonly method: Route['method']
  /** With every parameter filled in. */
  readonly path: string
  /** Fits no schema, so that nothing happens where a request gets through that should not. */
  readonly body: string | undefined
  readonly expected: Expectation
}

/**
 * `open`: the credential makes no difference, whatever the answer. `unauthenticated`: 401. `denied`: 403.
 * `own only`: the route is everybody's who is known, but of what belongs to somebody else it shows and changes nothing:
 * 403 or 404, or an answer without it.
 */
export type Expectation = 'open' | 'unauthenticated' | 'denied' | 'own only'

/** What the parameters of a path stand for: things of a user who is not the one that asks. */
export type Victims = Readonly<Record<string, string>>

/**
 * Every route with every credential. `too narrow` is somebody known who lacks the one permission that the route needs;
 * who is merely known already has `self`, so that nothing is too narrow there.
 */
export function routeMatrix(routes: readonly Route[], victims: Victims): MatrixCase[] {
  return routes.flatMap((route) =>
    CREDENTIAL_KINDS.map((credential) => ({
      route,
      credential,
      method: route.method,
      path: fill(route, victims),
      body: route.body === undefined ? undefined : '"no body of any route"',
      expected: expectation(route, credential),
    })),
  )
}

function expectation(route: Route, credential: CredentialKind): Expectation {
  if (route.permission === 'public') return 'open'
  if (credential === 'other user') return 'own only'
  if (credential === 'too narrow') return route.permission === 'self' ? 'own only' : 'denied'
  return 'unauthenticated'
}

/** Whether an answer is what the matrix asks for. `seen` is the whole text, in which nothing of the victims may be. */
export function complaintAbout(
  { expected, credential, method, path }: MatrixCase,
  answer: { readonly status: number; readonly text: string },
  canary: string,
): string | undefined {
  const { status, text } = answer
  const what = `${method} ${path} with ${credential}: ${status}`
  if (text.includes(canary)) return `${what} shows what is somebody else's`
  switch (expected) {
    case 'unauthenticated':
      return status === 401 ? undefined : `${what}, not 401`
    case 'denied':
      return status === 403 ? undefined : `${what}, not 403`
    case 'own only':
      return status < 500 ? undefined : `${what}: the refusal itself failed`
    case 'open':
      // A wrong password or setup token is a 401 of the route's own.
      return status === 403 || status >= 500 ? `${what}, although it is open` : undefined
  }
}

/** Puts the victims' names in the place of parameters. @throws when one is missing: the matrix would test nothing */
function fill({ path, name }: Route, victims: Victims): string {
  return path.replaceAll(/:(\w+)/g, (_whole, parameter: string) => {
    const value = victims[parameter]
    if (value === undefined) throw new Error(`The matrix has no value for :${parameter} of ${name}.`)
    return encodeURIComponent(value)
  })
}
