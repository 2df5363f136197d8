import { type ActivityRules, DEFAULT_ACTIVITY_RULES } from '../../domain/activity.ts'
import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import type {
  GroupSpec,
  HubSettings,
  ItemOverride,
  KeySpec,
  Selection,
  ServerSpec,
  TransportSpec,
} from '../../domain/server-spec.ts'
import { mapStrings } from '../json/map-strings.ts'
import { isSecretPlace } from '../secrets/secret-places.ts'
import { checkClusterDocument } from './cluster.ts'
import { type EmptyText, invalidSettings, parseDocument, type SettingsDocument } from './document.ts'
import { type Expansion, expand, resolveSecret, type Sources, type Variables, whyMissing } from './expand.ts'
import { type Complaints, interpretKeys } from './keys.ts'
import { replicationOf } from './replication.ts'
import {
  type ActivityInput,
  type GroupInput,
  type ServerInput,
  type SettingsInput,
  settingsSchema,
} from './schema.ts'
import { sharingOf } from './sharing.ts'
import { interpretUsers } from './users.ts'

export const DEFAULTS = {
  callTimeoutMs: 60_000,
  idleTimeoutMs: 300_000,
  sessionTimeoutMs: 3_600_000,
  nameSeparator: '-',
  bodyLimitBytes: 4 * 1024 * 1024,
  bearerHeader: 'Authorization',
} as const

export interface Interpreted {
  readonly settings: HubSettings
  /** What is odd but no reason to refuse, as sentences with their place. */
  readonly warnings: readonly string[]
  /** The tokens of the cluster that the document gives. */
  readonly clusterSecrets?: readonly string[]
}

export interface InterpretOptions extends Omit<Sources, 'variables'> {
  readonly empty?: EmptyText
}

/**
 * Settings text made ready for use: checked, expanded, secrets opened, with every default filled in.
 * @throws HubError `settings.invalid` or `secret.unreadable`, with line and column
 */
export function interpretSettings(
  text: string,
  source: string,
  variables: Variables,
  { empty = 'no settings', ...outside }: InterpretOptions = {},
): Interpreted {
  const document = parseDocument(text, source, empty)
  const parsed = settingsSchema.safeParse(document.value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const path = (issue?.path ?? []).filter((step) => typeof step !== 'symbol')
    throw invalidSettings(
      source,
      document.locate(path),
      `${path.join('.') || 'the document'}: ${lower(issue?.message)}`,
    )
  }
  return new Interpreter(parsed.data, document, source, { ...outside, variables }).run()
}

class Interpreter {
  readonly #input: SettingsInput
  readonly #document: SettingsDocument
  readonly #source: string
  readonly #sources: Sources
  readonly #warnings: string[] = []

  constructor(input: SettingsInput, document: SettingsDocument, source: string, sources: Sources) {
    this.#input = input
    this.#document = document
    this.#source = source
    this.#sources = sources
  }

  run(): Interpreted {
    const { mcpServers = {}, groups = [], systemConfig: system = {} } = this.#input
    const { routing = {} } = system
    const { sessionTimeoutMs, clusterSecrets } = this.#cluster()
    const servers = new Map(
      Object.entries(mcpServers).map(([name, input]) => [name, this.#server(name, input)] as const),
    )
    const settings: HubSettings = {
      servers,
      groups: groups.map((group, index) => this.#group(group, index, servers)),
      keys: this.#keys(),
      users: interpretUsers(this.#input.users ?? [], this.#sources, this.#complaints()),
      bearerAuth: routing.enableBearerAuth ?? true,
      bearerHeader: routing.bearerAuthHeaderName ?? DEFAULTS.bearerHeader,
      nameSeparator: system.nameSeparator ?? DEFAULTS.nameSeparator,
      globalEndpoint: routing.enableGlobalRoute ?? true,
      groupsByName: routing.enableGroupNameRoute ?? true,
      bodyLimitBytes: this.#bodyLimit(routing.jsonBodyLimit),
      sessionTimeoutMs: system.sessionTimeout ?? sessionTimeoutMs,
      activity: activityRules(system.activityLog),
    }
    return { settings, warnings: this.#warnings, ...clusterSecrets }
  }

  /** A node's part in a cluster is settled at its start; here mistakes are found before they keep it from starting. */
  #cluster(): Pick<HubSettings, 'sessionTimeoutMs'> & {
    clusterSecrets: Pick<Interpreted, 'clusterSecrets'>
  } {
    const { variables, ...outside } = this.#sources
    const { settings, origins, warnings } = checkClusterDocument({
      ...outside,
      document: this.#input,
      environment: variables,
      source: this.#source,
      locate: (path) => this.#document.locate(path),
    })
    this.#warnings.push(...warnings)
    const { token, oldTokens, sticky } = settings
    const tokens = [...(token === undefined ? [] : [token]), ...oldTokens]
    const isGiven = origins.get('sticky.timeoutMs')?.origin !== 'default'
    return {
      sessionTimeoutMs: isGiven ? sticky.timeoutMs : DEFAULTS.sessionTimeoutMs,
      clusterSecrets: tokens.length > 0 ? { clusterSecrets: tokens } : {},
    }
  }

  #server(name: string, raw: ServerInput): ServerSpec {
    const path = ['mcpServers', name]
    const enabled = raw.enabled ?? raw.disabled !== true
    const input = mapStrings(raw, (value, at) => this.#value(value, at, enabled), path) as ServerInput
    const { options = {} } = input
    const isolation = input.isolation ?? (input.perSessionClient ? 'session' : 'shared')
    return {
      name,
      enabled,
      description: input.description,
      ...sharingOf(input),
      transport: enabled ? this.#transport(path, input) : this.#transportOfDisabled(path, input),
      isolation,
      startOnDemand: input.startOnDemand ?? false,
      idleTimeoutMs: input.idleTimeoutMs ?? (input.startOnDemand ? DEFAULTS.idleTimeoutMs : 0),
      call: {
        timeoutMs: options.timeout ?? DEFAULTS.callTimeoutMs,
        resetTimeoutOnProgress: options.resetTimeoutOnProgress ?? true,
        maxTotalTimeoutMs: options.maxTotalTimeout ?? 0,
      },
      overrides: {
        tools: this.#overrides(name, input.tools),
        prompts: this.#overrides(name, input.prompts),
        resources: this.#overrides(name, input.resources),
      },
      replication: replicationOf(input, isolation, (at, why) => this.#invalid([...path, ...at], why)),
    }
  }

  #value(text: string, path: readonly (string | number)[], needed: boolean): string {
    const { text: value, missing } = isSecretPlace(path)
      ? this.#secret(text, path, needed)
      : expand(text, this.#sources.variables, this.#sources.readFile)
    for (const name of missing) this.#warn(path, `${whyMissing(name)}; it is taken as empty`)
    return value
  }

  /** A secret that cannot be opened matters only to a server that is to run. */
  #secret(text: string, path: readonly (string | number)[], needed: boolean): Expansion {
    try {
      return resolveSecret(text, this.#sources)
    } catch (error) {
      const unreadable = this.#unreadable(path, error)
      if (needed) throw unreadable
      this.#warnings.push(`${unreadable.message} The server is disabled, so the others run.`)
      return { text, missing: [] }
    }
  }

  #keys(): KeySpec[] {
    return interpretKeys(this.#input, this.#sources, this.#complaints())
  }

  #complaints(): Complaints {
    return {
      invalid: (path, why) => this.#invalid(path, why),
      warn: (path, what) => this.#warn(path, what),
      unreadable: (path, error) => this.#unreadable(path, error),
    }
  }

  #unreadable(path: readonly (string | number)[], error: unknown): HubError {
    const { message, cure } = toHubError(error)
    const { line, column } = this.#document.locate(path)
    const what = `${this.#source}:${line}:${column}: ${path.join('.')}: ${message}`
    return new HubError('secret.unreadable', what, { cause: error, ...(cure === undefined ? {} : { cure }) })
  }

  /** A server that is switched off keeps no other from running, whatever is wrong with it. */
  #transportOfDisabled(path: readonly string[], input: ServerInput): TransportSpec {
    try {
      return this.#transport(path, input)
    } catch (error) {
      this.#warnings.push(`${messageOf(error)} The server is disabled, so the others run.`)
      return { kind: 'auto', url: input.url ?? '', headers: {} }
    }
  }

  #transport(path: readonly string[], input: ServerInput): TransportSpec {
    const type = input.type ?? (input.url ? 'auto' : input.command ? 'stdio' : undefined)
    switch (type) {
      case 'stdio':
        if (!input.command) throw this.#invalid(path, 'a stdio server needs a "command"')
        return {
          kind: 'stdio',
          command: input.command,
          args: input.args ?? [],
          env: { ...this.#installEnvironment(input.command), ...input.env },
          cwd: input.cwd,
        }
      case 'sse':
      case 'auto':
        return this.#http(path, input, type)
      case 'http':
      case 'streamableHttp':
      case 'streamable-http':
        return this.#http(path, input, 'streamable-http')
      case 'openapi':
        throw this.#invalid(
          [...path, 'type'],
          'servers of type "openapi" are not supported yet; disable or remove this one',
        )
      case undefined:
        throw this.#invalid(path, 'a server needs a "command" (to be started) or a "url" (to be reached)')
    }
  }

  #http(
    path: readonly string[],
    input: ServerInput,
    kind: 'sse' | 'streamable-http' | 'auto',
  ): TransportSpec {
    const { url } = input
    if (!url) throw this.#invalid(path, 'a server of this type needs a "url"')
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw this.#invalid([...path, 'url'], `this is no http or https URL`)
    return { kind, url, headers: input.headers ?? {} }
  }

  /** Package mirrors, for the launchers that know them. */
  #installEnvironment(command: string): Record<string, string> {
    const { pythonIndexUrl, npmRegistry } = this.#input.systemConfig?.install ?? {}
    const launcher = command.replace(/^.*[\\/]/, '').replace(/\.(exe|cmd)$/i, '')
    if (pythonIndexUrl && ['uvx', 'uv', 'python', 'python3'].includes(launcher))
      return { UV_DEFAULT_INDEX: pythonIndexUrl }
    if (npmRegistry && ['npx', 'npm', 'pnpm', 'yarn', 'node'].includes(launcher))
      return { npm_config_registry: npmRegistry }
    return {}
  }

  /** Keys may be the server's own names or, as the dashboard of MCPHub writes them, `<server><separator><name>`. */
  #overrides(
    server: string,
    input: Record<string, { enabled?: boolean | undefined; description?: string | undefined }> = {},
  ): Map<string, ItemOverride> {
    const prefix = `${server}${this.#input.systemConfig?.nameSeparator ?? DEFAULTS.nameSeparator}`
    const overrides = new Map<string, ItemOverride>()
    for (const [key, { enabled = true, description }] of Object.entries(input)) {
      const override = { enabled, description: description === '' ? undefined : description }
      overrides.set(key, override)
      const bare = key.startsWith(prefix) ? key.slice(prefix.length) : ''
      if (bare && !Object.hasOwn(input, bare)) overrides.set(bare, override)
    }
    return overrides
  }

  #group(input: GroupInput, index: number, servers: ReadonlyMap<string, ServerSpec>): GroupSpec {
    const twin = this.#input.groups?.findIndex((other) => other.name === input.name)
    if (twin !== index)
      throw this.#invalid(
        ['groups', index, 'name'],
        `there are two groups named ${JSON.stringify(input.name)}`,
      )
    const id = input.id ?? input.name
    if (this.#input.groups?.findIndex((other) => (other.id ?? other.name) === id) !== index)
      throw this.#invalid(['groups', index, 'id'], `there are two groups with the id ${JSON.stringify(id)}`)
    if (this.#input.groups?.some((other) => other.name !== input.name && other.name === id))
      throw this.#invalid(
        ['groups', index, 'id'],
        `${JSON.stringify(id)} is the name of another group, and /mcp/${id} can be only one of them`,
      )
    if (servers.has(input.name))
      this.#warn(
        ['groups', index, 'name'],
        `a server has the name ${JSON.stringify(input.name)} too; /mcp/${input.name} is the group`,
      )
    const members = (input.servers ?? []).map((member, at) => {
      const { name, alias, tools, prompts, resources } =
        typeof member === 'string'
          ? ({ name: member } as Partial<Exclude<typeof member, string>> & { name: string })
          : member
      if (!servers.has(name))
        this.#warn(
          ['groups', index, 'servers', at],
          `there is no server ${JSON.stringify(name)}; the group goes without it`,
        )
      return {
        server: name,
        alias: alias || undefined,
        tools: select(tools),
        prompts: select(prompts),
        resources: select(resources),
      }
    })
    return { id, name: input.name, ...sharingOf(input), members }
  }

  #bodyLimit(input: string | number | undefined): number {
    if (input === undefined) return DEFAULTS.bodyLimitBytes
    if (typeof input === 'number') return input
    const match = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(input.trim())
    const unit = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }[(match?.[2] ?? 'b').toLowerCase()]
    const bytes = Math.floor(Number(match?.[1]) * (unit ?? 0))
    if (!(bytes > 0))
      throw this.#invalid(
        ['systemConfig', 'routing', 'jsonBodyLimit'],
        `${JSON.stringify(input)} is no size; write for example "4mb"`,
      )
    return bytes
  }

  #invalid(path: readonly (string | number)[], why: string): HubError {
    return invalidSettings(this.#source, this.#document.locate(path), `${path.join('.')}: ${why}`)
  }

  #warn(path: readonly (string | number)[], what: string): void {
    const { line, column } = this.#document.locate(path)
    this.#warnings.push(`${this.#source}:${line}:${column}: ${path.join('.')}: ${what}.`)
  }
}

function activityRules(input: ActivityInput = {}): ActivityRules {
  const { storeToolPayload, usageDays, accessDays, auditDays } = DEFAULT_ACTIVITY_RULES
  return {
    storeToolPayload: input.storeToolPayload ?? storeToolPayload,
    usageDays: input.usageDays ?? usageDays,
    accessDays: input.accessDays ?? accessDays,
    auditDays: input.auditDays ?? auditDays,
  }
}

function select(input: 'all' | string[] | undefined): Selection {
  return input === undefined || input === 'all' ? 'all' : new Set(input)
}

function lower(message = 'is not valid'): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}
