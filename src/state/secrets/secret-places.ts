import type { JsonPath } from '../json/json-path.ts'

/** What stands for a secret in everything that leaves the hub. */
export const MASK = '********'

/** Places of a settings document that hold secrets; `*` is any name or number, and may be the start of a name. */
const PLACES = [
  'mcpServers.*.env.*',
  'mcpServers.*.headers.*',
  'mcpServers.*.proxy.password',
  'mcpServers.*.oauth.clientSecret',
  'mcpServers.*.oauth.accessToken',
  'mcpServers.*.oauth.refreshToken',
  'mcpServers.*.oauth.dynamicRegistration.initialAccessToken',
  'mcpServers.*.oauth.pendingAuthorization.state',
  'mcpServers.*.oauth.pendingAuthorization.codeVerifier',
  ...['security', 'specSecurity'].flatMap((security) =>
    [
      'apiKey.value',
      'http.credentials',
      'oauth2.clientSecret',
      'oauth2.token',
      'openIdConnect.clientSecret',
      'openIdConnect.token',
    ].map((place) => `mcpServers.*.openapi.${security}.${place}`),
  ),
  'bearerKeys.*.token',
  'users.*.password',
  'userConfigs.*.routing.bearerAuthKey',
  'oauthClients.*.clientSecret',
  'oauthClients.*.client_secret',
  'oauthTokens.*.token',
  'oauthTokens.*.accessToken',
  'oauthTokens.*.refreshToken',
  'oauthTokens.*.access_token',
  'oauthTokens.*.refresh_token',
  'systemConfig.routing.bearerAuthKey',
  'systemConfig.smartRouting.dbUrl',
  'systemConfig.smartRouting.*ApiKey',
  'systemConfig.mcpRouter.apiKey',
  'systemConfig.oauth.verifyAccessToken.headers.*',
  'systemConfig.oauth.clients.*.client_secret',
  'systemConfig.cluster.token',
  'systemConfig.cluster.security.token',
  'systemConfig.cluster.security.oldTokens',
  'cluster.token',
  'cluster.security.token',
  'cluster.security.oldTokens',
].map((place) => place.split('.'))

/** Whether a settings document keeps a secret at this path, or somewhere within such a place: mistakes hold secrets too. */
export function isSecretPlace(path: JsonPath): boolean {
  return PLACES.some(
    (place) => place.length <= path.length && place.every((step, index) => fits(step, path[index])),
  )
}

function fits(pattern: string, step: string | number | undefined): boolean {
  return pattern.startsWith('*') ? String(step).endsWith(pattern.slice(1)) : pattern === step
}

/**
 * Whether text only says where a secret is: `${NAME}` anywhere, `$NAME` as a word, or `$NAME` within a word when there is
 * such a variable; otherwise that is part of a password.
 */
export function isReference(
  text: string,
  variables: Readonly<Record<string, string | undefined>> = {},
): boolean {
  if (/\$\{[^}]*\}|(?:^|\s)\$[A-Z_][A-Z0-9_]*(?:\s|$)/.test(text)) return true
  return [...text.matchAll(/\$([A-Z_][A-Z0-9_]*)/g)].some(
    ([, name = '']) => Object.hasOwn(variables, name) && variables[name] !== undefined,
  )
}

/** The password in `scheme://user:password@host`, and the values of `?api_key=…` and its like. */
const URL_PASSWORD = /([a-z][a-z\d+.-]*:\/\/[^\s/?#:@]*:)([^\s/?#]+)(?=@)/gi
const URL_PARAMETER =
  /([?&;][\w.-]*(?:key|token|secret|password|passwd|pwd|auth|signature|sig|credential)[\w.-]*=)([^&;#\s"']+)/gi

/** `text` with the secrets of the URLs in it masked; references stay. */
export function maskUrls(text: string): string {
  return replaceUrlSecrets(text, () => MASK)
}

/** The secrets in the URLs of a text. */
export function urlSecrets(text: string): readonly string[] {
  const secrets: string[] = []
  replaceUrlSecrets(text, (secret) => {
    secrets.push(secret)
    return secret
  })
  return secrets
}

function replaceUrlSecrets(text: string, replace: (secret: string) => string): string {
  if (!text.includes('://')) return text
  const one = (_whole: string, before: string, secret: string) =>
    before + (isReference(secret) ? secret : replace(secret))
  return text.replace(URL_PASSWORD, one).replace(URL_PARAMETER, one)
}
