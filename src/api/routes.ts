import { authRoutes } from './resources/auth.ts'
import { clusterRoutes } from './resources/cluster.ts'
import { clusterNodeRoutes } from './resources/cluster-nodes.ts'
import { groupRoutes } from './resources/groups.ts'
import { internalRoutes } from './resources/internal.ts'
import { keyRoutes } from './resources/keys.ts'
import { logRoutes } from './resources/logs.ts'
import { memberRoutes } from './resources/members.ts'
import { serverWorkRoutes } from './resources/server-work.ts'
import { serverRoutes } from './resources/servers.ts'
import { settingsRoutes } from './resources/settings.ts'
import { statusRoutes } from './resources/status.ts'
import { usageRoutes } from './resources/usage.ts'
import { userRoutes } from './resources/users.ts'
import type { Route } from './route.ts'

/** Every route that there is, with the permission it needs. What is not in here does not exist, and is denied. */
export const ROUTES: readonly Route[] = [
  ...statusRoutes,
  ...authRoutes,
  ...serverRoutes,
  ...serverWorkRoutes,
  ...groupRoutes,
  ...memberRoutes,
  ...userRoutes,
  ...keyRoutes,
  ...settingsRoutes,
  ...usageRoutes,
  ...logRoutes,
  ...clusterRoutes,
  ...clusterNodeRoutes,
  ...internalRoutes,
]
