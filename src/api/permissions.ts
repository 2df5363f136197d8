import type { Permission } from '../access/permissions.ts'

/** All permissions, to tell people which of them they have. */
export const PERMISSIONS = Object.keys({
  'servers:read': true,
  'servers:write': true,
  'servers:launch': true,
  'tools:call': true,
  'groups:read': true,
  'groups:write': true,
  'keys:own': true,
  'keys:manage': true,
  'users:manage': true,
  'settings:read': true,
  'settings:write': true,
  'usage:own': true,
  'usage:all': true,
  'logs:read': true,
  'cluster:read': true,
  'cluster:write': true,
  'cluster:node': true,
  self: true,
  public: true,
} satisfies Record<Permission, true>) as readonly Permission[]
