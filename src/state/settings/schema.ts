import { z } from 'zod'

/**
 * The settings document, in the format that users of MCPHub have. Every object is open: keys that the hub does not know
 * are kept, so that a file can serve newer and other programs too.
 */
const text = z.string().min(1)
/** People write ports and switches without quotes. */
const scalar = z.union([z.string(), z.number(), z.boolean()])
const milliseconds = z.number().int().min(0)
const timeout = z.number().int().min(1)

const itemOverrides = z.record(
  text,
  z.looseObject({ enabled: z.boolean().optional(), description: z.string().optional() }),
)

const TYPES = ['stdio', 'streamable-http', 'streamableHttp', 'http', 'sse', 'openapi'] as const

export const serverSchema = z.looseObject({
  type: z.enum(TYPES).optional(),
  command: text.optional(),
  args: z.array(scalar.transform(String)).nullish(),
  env: z.record(text, scalar.transform(String)).nullish(),
  cwd: text.optional(),
  url: text.optional(),
  headers: z.record(text, scalar.transform(String)).nullish(),
  enabled: z.boolean().optional(),
  /** As Claude Desktop, Cline and others write it. */
  disabled: z.boolean().optional(),
  description: z.string().optional(),
  isolation: z.enum(['shared', 'session']).optional(),
  perSessionClient: z.boolean().optional(),
  startOnDemand: z.boolean().optional(),
  idleTimeoutMs: milliseconds.optional(),
  options: z
    .looseObject({
      timeout: timeout.optional(),
      resetTimeoutOnProgress: z.boolean().optional(),
      maxTotalTimeout: timeout.optional(),
    })
    .optional(),
  tools: itemOverrides.optional(),
  prompts: itemOverrides.optional(),
  resources: itemOverrides.optional(),
})

const selection = z.union([z.literal('all'), z.array(z.string())])

const groupSchema = z.looseObject({
  id: text.optional(),
  name: text,
  servers: z
    .array(
      z.union([
        text,
        z.looseObject({
          name: text,
          alias: z.string().nullish(),
          tools: selection.optional(),
          prompts: selection.optional(),
          resources: selection.optional(),
        }),
      ]),
    )
    .optional(),
})

const keySchema = z.looseObject({
  id: text.optional(),
  name: text.optional(),
  token: z.string(),
  enabled: z.boolean().optional(),
  accessType: z.enum(['all', 'groups', 'servers', 'custom']).optional(),
  allowedGroups: z.array(z.string()).nullish(),
  allowedServers: z.array(z.string()).nullish(),
})

const systemSchema = z.looseObject({
  routing: z
    .looseObject({
      enableGlobalRoute: z.boolean().optional(),
      enableGroupNameRoute: z.boolean().optional(),
      enableBearerAuth: z.boolean().optional(),
      bearerAuthKey: z.string().optional(),
      bearerAuthHeaderName: text.optional(),
      jsonBodyLimit: z.union([z.string(), z.number().int().positive()]).optional(),
    })
    .optional(),
  install: z
    .looseObject({ pythonIndexUrl: z.string().optional(), npmRegistry: z.string().optional() })
    .optional(),
  nameSeparator: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,10}$/, 'one to ten letters, digits, "_", "." or "-"')
    .optional(),
  sessionTimeout: timeout.optional(),
  cluster: z
    .looseObject({
      enabled: z.boolean().optional(),
      coordinator: z.looseObject({ stickySessionTimeout: timeout.optional() }).optional(),
    })
    .optional(),
})

export const settingsSchema = z.looseObject({
  mcpServers: z.record(text, serverSchema).optional(),
  groups: z.array(groupSchema).optional(),
  bearerKeys: z.array(keySchema).optional(),
  systemConfig: systemSchema.optional(),
})

export type SettingsInput = z.infer<typeof settingsSchema>
export type ServerInput = z.infer<typeof serverSchema>
export type GroupInput = z.infer<typeof groupSchema>
export type KeyInput = z.infer<typeof keySchema>
