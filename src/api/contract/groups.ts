import { z } from 'zod'
import { anyName, serverName, visibility } from './shared.ts'

const selection = z.union([z.literal('all'), z.array(z.string().max(2_000)).max(10_000)])

export const member = z.looseObject({
  name: anyName,
  alias: z.string().max(100).optional(),
  tools: selection.optional(),
  prompts: selection.optional(),
  resources: selection.optional(),
})
const members = z.array(z.union([anyName, member])).max(1_000)

const facts = {
  description: z.string().max(10_000).optional(),
  visibility: visibility.optional(),
  sharedWithUsers: z.array(z.string().max(50)).max(10_000).optional(),
  owner: z.string().max(50).optional(),
}

export const newGroup = z.object({ name: serverName, servers: members.default([]), ...facts })
export const newGroups = z.object({ groups: z.array(newGroup).min(1).max(500) })
export const groupUpdate = z.object({ name: serverName.optional(), servers: members.optional(), ...facts })
export const groupParams = z.object({ id: anyName })
export const memberParams = z.object({ id: anyName, server: anyName })
export const newMember = z.object({ serverName: anyName })
export const membersBody = z.object({ servers: members })
export const memberTools = z.object({ tools: selection })

export const group = z.looseObject({
  id: z.string(),
  name: z.string(),
  servers: z.array(z.union([z.string(), member])),
  ...facts,
})
