import type { DeclaredUsers } from '../access/declared-users.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { type RecordImporter, SettingsMigration } from '../state/settings/migrate.ts'
import type { Environment, State } from './state.ts'

const ENGINES = { sqlite: 'SQLite', postgres: 'PostgreSQL', mysql: 'MySQL' } as const

/** Moves the settings between file and database; keys stay in the document, users get their rows. */
export function migrationOf(
  state: State,
  deps: { declared: DeclaredUsers; environment: Environment; clock: Clock; log: Logger },
): SettingsMigration {
  const { storage, main, box, file, checker } = state
  const { declared, environment, clock, log } = deps
  return new SettingsMigration({
    file,
    documents: storage.document,
    revisions: storage.revisions,
    choice: storage.choice,
    checker,
    importers: [usersImporter(state, declared, log)],
    box,
    variables: environment,
    clock,
    log,
    engine: ENGINES[main.kind],
  })
}

function usersImporter({ storage, checker }: State, declared: DeclaredUsers, log: Logger): RecordImporter {
  const usersOf = (document: Record<string, unknown>) =>
    checker.interpret(JSON.stringify({ users: document['users'] ?? [] }), 'users').settings.users
  return {
    name: 'users',
    declared: (document) => usersOf(document).length,
    async import(document) {
      const users = usersOf(document)
      await declared.reconcile(users)
      const there = new Set((await storage.users.list()).map(({ username }) => username))
      for (const { username } of users)
        if (!there.has(username))
          log.warn({ username }, 'this user was left out, as it would be at every start')
      return users.length
    },
  }
}
