import { z } from 'zod'
import { password, time, username } from './shared.ts'

const role = z.enum(['admin', 'user'])
const email = z.email().max(100)
const fullName = z.string().max(100)

export const userParams = z.object({ username: username })
export const newUser = z.object({
  username,
  password,
  isAdmin: z.boolean().default(false),
  email: email.optional(),
  fullName: fullName.optional(),
})
export const userUpdate = z.object({
  password: password.optional(),
  newPassword: password.optional().describe('As MCPHub calls it; the same as password.'),
  isAdmin: z.boolean().optional(),
  status: z.enum(['active', 'disabled']).optional(),
  email: email.nullable().optional(),
  fullName: fullName.nullable().optional(),
})

export const user = z.object({
  username: z.string(),
  isAdmin: z.boolean(),
  role,
  status: z.enum(['active', 'disabled']),
  origin: z.enum(['api', 'settings']),
  email: z.string().optional(),
  fullName: z.string().optional(),
  createdAt: time,
  lastLoginAt: time.optional(),
})

export const userStats = z.object({
  totalUsers: z.number().int(),
  adminUsers: z.number().int(),
  regularUsers: z.number().int(),
})
