import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import type { Permission } from '../access/permissions.ts'

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
          clusterToken: {
            type: 'apiKey' as const,
            in: 'header',
            name: 'x-cluster-token',
            description: 'The token that all nodes of a cluster share. It may come as bearer too.',
          },
        },
      },
    },
    transform: jsonSchemaTransform,
  }
}

const PEOPLE: Record<string, string[]>[] = [{ bearer: [] }, { cookie: [] }, { token: [] }]
const NODES: Record<string, string[]>[] = [{ clusterToken: [] }]

/** What lets somebody in, any of it. */
export function securityOf(permission: Permission): Record<string, string[]>[] {
  if (permission === 'public') return []
  return permission === 'cluster:node' ? NODES : PEOPLE
}
