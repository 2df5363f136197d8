import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Keyring } from '../../access/keyring.ts'
import type { OriginPolicy } from '../../access/origin.ts'
import type { StickySettings } from '../../domain/cluster-settings.ts'
import type { EndpointName } from '../../domain/endpoint.ts'
import type { Principal } from '../../domain/principal.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import type { ClientIdentity } from '../../upstream/upstream.ts'
import type { Catalogs } from '../catalog/catalogs.ts'
import type { Dispatcher } from '../dispatch/dispatcher.ts'
import type { Servers } from '../dispatch/servers.ts'
import type { SessionTable } from '../sessions/session-table.ts'
import type { ClientAddresses } from './client-addresses.ts'

/** What the front and its transports need. */
export interface FrontDeps {
  readonly dispatcher: Dispatcher
  readonly catalogs: Catalogs
  readonly servers: Servers
  readonly sessions: SessionTable
  readonly addresses: ClientAddresses
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly originPolicy: OriginPolicy
  settings(): HubSettings
  readonly keyring: Keyring
  /** How clients name the node that they want; undefined where there is one only. */
  readonly sticky?: StickySettings
  /** The hub takes no new sessions. */
  stopping(): boolean
  /** One copy of equal identities: thousands of sessions come from a handful of clients. */
  intern(identity: ClientIdentity): ClientIdentity
  /** Everything that is not MCP: management, health and pages, which see to themselves who may have what. */
  other(request: IncomingMessage, response: ServerResponse): void
}

/** One HTTP request to an MCP endpoint, by somebody who is known. */
export interface McpRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly endpoint: EndpointName
  readonly principal: Principal
}
