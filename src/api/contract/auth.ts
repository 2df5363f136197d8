import { z } from 'zod'
import { password, username } from './shared.ts'

export const login = z.object({ username, password })
export const changePassword = z.object({ currentPassword: password, newPassword: password })
export const setup = z.object({ token: z.string().min(1).max(200), username, password })
export const setupState = z.object({ pending: z.boolean() })

const person = z.object({
  username: z.string(),
  isAdmin: z.boolean(),
  permissions: z.array(z.string()),
})

export const loginBeside = { token: z.string(), user: person }
export const whoBeside = { user: person }
