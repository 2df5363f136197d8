import { storageContract } from './storage-contract/contract.ts'
import { mariaDbEngine, postgresEngine, sqliteEngine } from './storage-contract/engines.ts'
import { networkContract } from './storage-contract/network.ts'

storageContract('[R226] [R254] SQLite', sqliteEngine)
storageContract('[R183] [R254] PostgreSQL', postgresEngine, (engine) =>
  networkContract(engine, 'select pg_sleep(10)'),
)
storageContract('[R183] [R185] MariaDB', mariaDbEngine, (engine) =>
  networkContract(engine, 'select sleep(10)'),
)
