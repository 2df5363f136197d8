import { z } from 'zod'

/** Every refusal, whatever its status. */
export const failure = z.object({
  success: z.literal(false),
  message: z.string(),
  code: z.string(),
  cure: z.string().optional(),
  requestId: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
