import { expect, test } from 'vitest'
import { interpretSettings } from '../state/settings/interpret.ts'
import { secretsOf } from './secrets-of.ts'

test('what must not show up anywhere: values of the document, and what its references come to', () => {
  const document = {
    mcpServers: {
      a: {
        command: 'x',
        env: { PLAIN: 'plain-value', API_KEY: '${FROM_ELSEWHERE}', HOME: '${HOME}', REGION: '${MY_TOKEN}' },
      },
      b: { url: 'http://h/mcp', headers: { Authorization: 'Bearer ${FROM_ELSEWHERE_2}' } },
    },
    bearerKeys: [{ name: 'k', token: '${KEY_TOKEN}', enabled: true }],
    cluster: { enabled: true, role: 'master', security: { token: '${TOKEN_OF_CLUSTER}' } },
  }
  const variables = {
    FROM_ELSEWHERE: 'value-of-the-key',
    HOME: '/home/somebody',
    MY_TOKEN: 'value-of-my-token',
    FROM_ELSEWHERE_2: 'value-of-header',
    KEY_TOKEN: 'value-of-bearer-key',
    TOKEN_OF_CLUSTER: 'value-of-cluster-token',
  }
  const interpreted = interpretSettings(JSON.stringify(document), 'x', variables)
  const secrets = secretsOf({ ...interpreted, document })
  for (const secret of [
    'plain-value',
    'value-of-the-key',
    'value-of-my-token',
    'value-of-header',
    'value-of-bearer-key',
    'value-of-cluster-token',
  ])
    expect([...secrets]).toContain(secret)
  // Paths would have holes everywhere.
  expect(secrets.has('/home/somebody')).toBe(false)
})
