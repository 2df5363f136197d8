import { z } from 'zod'
import { KEY_GRANTS } from '../../domain/key-scope.ts'
import { BALANCE_STRATEGIES, ISOLATIONS, STATE_LOSS_RULES } from '../../domain/replication.ts'

/**
 * The settings document, in the format that users of MCPHub have. Every object is open: keys that the hub does not know
 * are kept, so that a file can serve newer and other programs too.
 */
const text = z.string().min(1)
/** People write ports and switches without quotes. */
const scalar = z.union([z.string(), z.number(), z.boolean()])
const milliseconds = z.number().int().min(0)
const timeout = z.number().int().min(1)
/** 0 = for ever. */
const days = z.number().min(0)

const itemOverrides = z.record(
  text,
  z.looseObject({ enabled: z.boolean().optional(), description: z.string().optional() }),
)

const names = z.array(z.string()).nullish()

/** Whose a server or group is, and who else sees it. */
const sharing = {
  owner: z.string().optional(),
  visibility: z.enum(['private', 'group', 'public']).optional(),
  sharedWithUsers: names,
}

const copies = z.number().int().min(0).max(1_000)
const nodeNames = z.array(text.max(255)).max(1_000).nullish()
const aDay = milliseconds.max(86_400_000)

/** How many copies of a server run in a cluster, and where. */
const replication = {
  replicas: copies.nullish(),
  affinity: z
    .looseObject({
      nodeIds: nodeNames,
      excludeNodeIds: nodeNames,
      labels: z.record(text.max(255), scalar.transform(String)).nullish(),
    })
    .nullish(),
  strategy: z.enum(BALANCE_STRATEGIES).nullish(),
  loadBalanceStrategy: z.enum(BALANCE_STRATEGIES).nullish(),
  /** `true` is `{}`, `false` is nothing. */
  autoscale: z
    .preprocess(
      (value) => (value === true ? {} : value === false ? null : value),
      z
        .looseObject({
          enabled: z.boolean().optional(),
          min: copies.optional(),
          max: copies.optional(),
          minReplicas: copies.optional(),
          maxReplicas: copies.optional(),
          targetCalls: z.number().positive().max(1_000_000).optional(),
          upAfterMs: aDay.optional(),
          downAfterMs: aDay.optional(),
        })
        .nullish(),
    )
    .optional(),
  stateLoss: z.enum(STATE_LOSS_RULES).nullish(),
}

const TYPES = ['stdio', 'streamable-http', 'streamableHttp', 'http', 'sse', 'openapi'] as const

export const serverSchema = z.looseObject({
  ...sharing,
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
  isolation: z.enum(ISOLATIONS).optional(),
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
  ...replication,
})

const selection = z.union([z.literal('all'), z.array(z.string())])

const groupSchema = z.looseObject({
  ...sharing,
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
  kind: z.enum(['system', 'user']).optional(),
  owner: z.string().optional(),
  accessType: z.enum(['all', 'groups', 'servers', 'tools', 'custom']).optional(),
  allowedGroups: names,
  allowedServers: names,
  /** By server, its own names. */
  allowedTools: z.record(text, z.array(z.string())).nullish(),
  rest: z.enum(['none', 'read', 'admin']).optional(),
  grants: z.array(z.enum(KEY_GRANTS)).optional(),
  /** RFC 3339, or ms since the epoch. */
  expiresAt: z.union([z.iso.datetime({ offset: true }), z.number().int().positive()]).nullish(),
  requestsPerMinute: z.number().int().min(1).nullish(),
  maxConcurrent: z.number().int().min(1).nullish(),
})

const userSchema = z.looseObject({
  username: text,
  password: z.string(),
  isAdmin: z.boolean().optional(),
  email: z.string().optional(),
})

/** What stands in it is checked by `cluster.ts`, which takes several spellings from several places. */
const cluster = z.looseObject({}).optional()

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
  activityLog: z
    .looseObject({
      storeToolPayload: z.boolean().optional(),
      usageDays: days.optional(),
      accessDays: days.optional(),
      auditDays: days.optional(),
    })
    .optional(),
  cluster,
})

export const settingsSchema = z.looseObject({
  mcpServers: z.record(text, serverSchema).optional(),
  groups: z.array(groupSchema).optional(),
  bearerKeys: z.array(keySchema).optional(),
  users: z.array(userSchema).optional(),
  systemConfig: systemSchema.optional(),
  cluster,
})

export type SettingsInput = z.infer<typeof settingsSchema>
export type ServerInput = z.infer<typeof serverSchema>
export type GroupInput = z.infer<typeof groupSchema>
export type UserInput = z.infer<typeof userSchema>
export type KeyInput = z.infer<typeof keySchema>
export type ActivityInput = NonNullable<NonNullable<SettingsInput['systemConfig']>['activityLog']>
