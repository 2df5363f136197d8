import { z } from 'zod'
import { anyName } from './shared.ts'

export const callParams = z.object({ server: anyName })
export const call = z.object({
  toolName: anyName,
  arguments: z.record(z.string(), z.unknown()).default({}),
})
/** A CallToolResult of MCP, as the server sent it, and what was called. */
export const callAnswer = z.looseObject({
  toolName: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  isError: z.boolean().optional(),
})
