/** The methods of the 2025 era that the hub itself must know (schema of revision 2025-11-25). */
export const METHOD = {
  initialize: 'initialize',
  ping: 'ping',
  toolsList: 'tools/list',
  toolsCall: 'tools/call',
  promptsList: 'prompts/list',
  promptsGet: 'prompts/get',
  resourcesList: 'resources/list',
  templatesList: 'resources/templates/list',
  resourcesRead: 'resources/read',
  subscribe: 'resources/subscribe',
  unsubscribe: 'resources/unsubscribe',
  complete: 'completion/complete',
  setLevel: 'logging/setLevel',
  sampling: 'sampling/createMessage',
  elicitation: 'elicitation/create',
  rootsList: 'roots/list',
} as const

export const NOTIFICATION = {
  initialized: 'notifications/initialized',
  cancelled: 'notifications/cancelled',
  progress: 'notifications/progress',
  message: 'notifications/message',
  toolsChanged: 'notifications/tools/list_changed',
  promptsChanged: 'notifications/prompts/list_changed',
  resourcesChanged: 'notifications/resources/list_changed',
  resourceUpdated: 'notifications/resources/updated',
  rootsChanged: 'notifications/roots/list_changed',
  elicitationComplete: 'notifications/elicitation/complete',
} as const

/** Where the progress token stands in the params of any request (basic/utilities/progress). */
export const TOKEN_PATH = ['_meta', 'progressToken'] as const

/** RFC 5424 severities, least severe first (spec, server/utilities/logging). */
export const LOGGING_LEVELS = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
] as const
export type LoggingLevel = (typeof LOGGING_LEVELS)[number]

export function isLoggingLevel(value: unknown): value is LoggingLevel {
  return LOGGING_LEVELS.some((level) => level === value)
}

/** Whether a message of level `level` is to be shown to someone who asked for `threshold` and worse. */
export function reachesLevel(level: unknown, threshold: LoggingLevel): boolean {
  // A level we do not know is shown: losing a message is worse than one too many.
  return !isLoggingLevel(level) || LOGGING_LEVELS.indexOf(level) >= LOGGING_LEVELS.indexOf(threshold)
}

export function mostVerbose(levels: Iterable<LoggingLevel>): LoggingLevel | undefined {
  let best: number | undefined
  for (const level of levels) best = Math.min(best ?? LOGGING_LEVELS.length, LOGGING_LEVELS.indexOf(level))
  return best === undefined ? undefined : LOGGING_LEVELS[best]
}

export interface Implementation {
  readonly name: string
  readonly version: string
  readonly [key: string]: unknown
}

export type Capabilities = Readonly<Record<string, unknown>>

/** What a server says of itself in the answer to `initialize`. */
export interface ServerHello {
  readonly protocolVersion: string
  readonly capabilities: Capabilities
  readonly serverInfo: Implementation
  readonly instructions?: string
}
