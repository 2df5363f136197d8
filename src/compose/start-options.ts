import { HubError } from '../domain/errors.ts'
import type { Environment, State } from './state.ts'

/** What the operator has given the hub for itself. No server is told, but people paste all sorts of things. */
export async function ownSecrets({ secrets, main }: State, environment: Environment): Promise<string[]> {
  const crypto = await secrets.get('CRYPTO_SECRET')
  const old = await secrets.old('CRYPTO_SECRET')
  const password = main.kind === 'sqlite' ? '' : main.password
  return [crypto.value, ...old, password, environment['ADMIN_PASSWORD'] ?? '']
}

export function isSwitchedOn(text: string | undefined): boolean {
  return /^(true|1|yes|on)$/i.test(text?.trim() ?? '')
}

/** `TRUST_PROXY`: how many proxies stand before the hub; `true` is one. */
export function trustedProxies(environment: Environment): number {
  const text = environment['TRUST_PROXY']?.trim() ?? ''
  if (/^\d{1,2}$/.test(text)) return Number(text)
  return isSwitchedOn(text) ? 1 : 0
}

/** `FRONTEND_BASE_URL`. @throws HubError `settings.invalid` */
export function readPublicUrl(url: string | undefined): URL | undefined {
  if (!url) return undefined
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return new URL(url)
  throw new HubError(
    'settings.invalid',
    `FRONTEND_BASE_URL: ${JSON.stringify(url)} is no http or https URL.`,
    {
      cure: 'Give the URL at which people reach the hub, such as https://hub.example.com.',
    },
  )
}
