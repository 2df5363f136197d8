import type { StoreChoice, StoreInForce } from '../../settings/migrate.ts'
import type { Database } from '../database.ts'

/** The one row of `settings_store`. */
const IN_FORCE = 1

/** Where the settings document is kept, as the last migration has left it. */
export class SettingsStoreChoice implements StoreChoice {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async get(): Promise<StoreInForce | undefined> {
    const row = await this.#database.read((db) =>
      db.selectFrom('settings_store').selectAll().where('id', '=', IN_FORCE).executeTakeFirst(),
    )
    return (
      row && { store: row.store === 'database' ? 'database' : 'file', dualWrite: Boolean(row.dual_write) }
    )
  }

  async set({ store, dualWrite }: StoreInForce): Promise<void> {
    await this.#database.write(['settings'], async (trx) => {
      await trx.deleteFrom('settings_store').execute()
      await trx.insertInto('settings_store').values({ id: IN_FORCE, store, dual_write: dualWrite }).execute()
    })
  }
}
