import { core } from './0001-core.ts'
import { activity } from './0002-activity.ts'
import type { SchemaMigration } from './migration.ts'

/** All there are, oldest first. New ones come at the end. */
export const MIGRATIONS: readonly SchemaMigration[] = [core, activity]
