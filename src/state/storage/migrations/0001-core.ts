import type { SchemaMigration, SchemaWriter } from './migration.ts'

/** Who may do what, and the settings. */
export const core: SchemaMigration = {
  name: '0001-core',
  async up(schema) {
    await createAccounts(schema)
    await createSettings(schema)
    await createCounters(schema)
  },
}

async function createAccounts(schema: SchemaWriter): Promise<void> {
  await schema.createTable(
    'users',
    (table, { text, identity, counting, flag, integer }) =>
      table
        .addColumn('id', identity, counting)
        .addColumn('username', text(50), (column) => column.notNull())
        .addColumn('password', text(255), (column) => column.notNull())
        .addColumn('is_admin', flag, (column) => column.notNull().defaultTo(false))
        .addColumn('status', text(20), (column) => column.notNull().defaultTo('active'))
        .addColumn('email', text(100))
        .addColumn('full_name', text(100))
        .addColumn('access_token', text(255))
        .addColumn('created_at', integer, (column) => column.notNull())
        .addColumn('last_login_at', integer)
        .addColumn('last_activity', integer)
        .addColumn('origin', text(20), (column) => column.notNull().defaultTo('api'))
        .addColumn('declared_hash', text(255)),
    [{ name: 'users_username', columns: ['username'], unique: true }],
  )
  await schema.createTable(
    'api_keys',
    (table, { text, longText, flag, integer }) =>
      table
        .addColumn('id', text(50), (column) => column.primaryKey())
        .addColumn('name', text(100), (column) => column.notNull())
        .addColumn('token_hash', text(64), (column) => column.notNull())
        .addColumn('prefix', text(32), (column) => column.notNull())
        .addColumn('owner', text(50))
        .addColumn('scope', longText, (column) => column.notNull())
        .addColumn('rest', text(20), (column) => column.notNull())
        .addColumn('grants', longText, (column) => column.notNull())
        .addColumn('enabled', flag, (column) => column.notNull())
        .addColumn('expires_at', integer)
        .addColumn('requests_per_minute', integer)
        .addColumn('max_concurrent', integer)
        .addColumn('created_at', integer, (column) => column.notNull())
        .addColumn('created_by', text(100))
        .addColumn('last_used_at', integer),
    [
      { name: 'api_keys_token_hash', columns: ['token_hash'], unique: true },
      { name: 'api_keys_owner', columns: ['owner'] },
    ],
  )
  await schema.createTable(
    'login_sessions',
    (table, { text, longText, integer }) =>
      table
        .addColumn('token_hash', text(64), (column) => column.primaryKey())
        .addColumn('username', text(50), (column) => column.notNull())
        .addColumn('created_at', integer, (column) => column.notNull())
        .addColumn('expires_at', integer, (column) => column.notNull())
        .addColumn('last_seen_at', integer, (column) => column.notNull())
        .addColumn('ip', text(45))
        .addColumn('user_agent', longText),
    [
      { name: 'login_sessions_username', columns: ['username'] },
      { name: 'login_sessions_expires_at', columns: ['expires_at'] },
    ],
  )
}

async function createSettings(schema: SchemaWriter): Promise<void> {
  await schema.createTable(
    'mcp_servers',
    (table, { text, longText, identity, counting, flag, integer }) =>
      table
        .addColumn('id', identity, counting)
        .addColumn('name', text(100), (column) => column.notNull())
        .addColumn('type', text(50), (column) => column.notNull())
        .addColumn('command', longText)
        .addColumn('args', longText)
        .addColumn('url', longText)
        .addColumn('enabled', flag, (column) => column.notNull().defaultTo(true))
        .addColumn('owner', text(50))
        .addColumn('created_at', integer, (column) => column.notNull())
        .addColumn('updated_at', integer, (column) => column.notNull())
        .addColumn('position', integer, (column) => column.notNull())
        .addColumn('visibility', text(20))
        .addColumn('config', longText, (column) => column.notNull()),
    [{ name: 'mcp_servers_name', columns: ['name'], unique: true }],
  )
  await schema.createTable(
    'server_groups',
    (table, { text, longText, integer }) =>
      table
        .addColumn('id', text(100), (column) => column.primaryKey())
        .addColumn('name', text(100), (column) => column.notNull())
        .addColumn('owner', text(50))
        .addColumn('visibility', text(20))
        .addColumn('position', integer, (column) => column.notNull())
        .addColumn('config', longText, (column) => column.notNull()),
    [{ name: 'server_groups_name', columns: ['name'], unique: true }],
  )
  await schema.createTable('settings_revisions', (table, { text, longText, integer }) =>
    table
      .addColumn('number', integer, (column) => column.primaryKey())
      .addColumn('at', integer, (column) => column.notNull())
      .addColumn('author', text(100), (column) => column.notNull())
      .addColumn('reason', longText)
      .addColumn('checksum', text(64), (column) => column.notNull())
      .addColumn('changes', longText, (column) => column.notNull())
      .addColumn('document', longText, (column) => column.notNull()),
  )
  await schema.createTable('settings_sections', (table, { text, longText, integer }) =>
    table
      .addColumn('name', text(255), (column) => column.primaryKey())
      .addColumn('position', integer, (column) => column.notNull())
      .addColumn('value', longText),
  )
  await schema.createTable('settings_document', (table, { integer }) =>
    table
      .addColumn('id', integer, (column) => column.primaryKey())
      .addColumn('revision', integer, (column) => column.notNull()),
  )
  await schema.createTable('settings_store', (table, { text, integer, flag }) =>
    table
      .addColumn('id', integer, (column) => column.primaryKey())
      .addColumn('store', text(20), (column) => column.notNull())
      .addColumn('dual_write', flag, (column) => column.notNull()),
  )
}

async function createCounters(schema: SchemaWriter): Promise<void> {
  await schema.createTable('change_counters', (table, { text, integer }) =>
    table
      .addColumn('topic', text(50), (column) => column.primaryKey())
      .addColumn('number', integer, (column) => column.notNull()),
  )
  await schema.addCounters(['keys', 'settings', 'users'])
}
