import { jsonSchemaTransform } from 'fastify-type-provider-zod'

/** What the description of the API says beyond its routes. */
export function openApiOptions(version: string) {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Flotilla',
        version,
        description: 'The management API of a Flotilla hub. MCP itself is served at /mcp.',
      },
      components: {
        securitySchemes: {
          bearer: {
            type: 'http' as const,
            scheme: 'bearer',
            description: 'A key with the right to this API.',
          },
          cookie: { type: 'apiKey' as const, in: 'cookie', name: 'flotilla', description: 'A login.' },
          token: { type: 'apiKey' as const, in: 'header', name: 'x-auth-token', description: 'A login.' },
        },
      },
    },
    transform: jsonSchemaTransform,
  }
}

/** Any of these lets somebody in. */
export const SECURITY: Record<string, string[]>[] = [{ bearer: [] }, { cookie: [] }, { token: [] }]
