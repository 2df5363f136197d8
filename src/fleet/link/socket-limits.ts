import { MAX_MESSAGE_BYTES } from './frames.ts'

/** Where coordinators take links. */
export const LINK_PATH = '/internal/cluster/link'

/** For both ends. Nothing is compressed: it would cost more than it saves, and memory that the other side chooses. */
export const SOCKET_LIMITS = {
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  // Text is a violation, whatever is in it.
  skipUTF8Validation: true,
  // Nodes do not fragment; a proxy between them may.
  maxFragments: 1_024,
  maxBufferedChunks: 16 * 1024,
  maxPendingAutoPongs: 16,
} as const
