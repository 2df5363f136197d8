import { HubError } from '../../domain/errors.ts'
import type { HttpSpec } from '../../domain/server-spec.ts'
import type { Channel, ChannelEvents } from '../channel.ts'
export function openHttpChannel(
  _spec: HttpSpec,
  _events: ChannelEvents,
  _signal: AbortSignal,
  deps: { server: string },
): Promise<Channel> {
  return Promise.reject(new HubError('internal', deps.server))
}
