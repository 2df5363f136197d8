import type { SchemaMigration, SchemaWriter } from './migration.ts'

/** What happened: calls of tools, requests to the management API, changes that people made. */
export const activity: SchemaMigration = {
  name: '0002-activity',
  async up(schema) {
    await createUsage(schema)
    await createAccess(schema)
    await createAudit(schema)
  },
}

async function createUsage(schema: SchemaWriter): Promise<void> {
  await schema.createTable(
    'mcp_usage_logs',
    (table, { text, longText, flag, integer }) =>
      table
        .addColumn('id', text(50), (column) => column.primaryKey())
        .addColumn('timestamp', integer, (column) => column.notNull())
        .addColumn('username', text(50), (column) => column.notNull())
        .addColumn('server_name', text(255), (column) => column.notNull())
        .addColumn('tool_name', text(255), (column) => column.notNull())
        .addColumn('success', flag, (column) => column.notNull())
        .addColumn('arguments', longText)
        .addColumn('error_message', longText)
        .addColumn('duration', integer, (column) => column.notNull())
        .addColumn('ip', text(45))
        .addColumn('user_agent', longText)
        .addColumn('session_id', text(100))
        .addColumn('key_id', text(50))
        .addColumn('node', text(100), (column) => column.notNull()),
    // No more of them: thousands of rows come a second, and each index costs every one. Users and servers are looked for along
    // the time, newest first.
    [{ name: 'mcp_usage_logs_time', columns: ['timestamp', 'id'] }],
  )
}

async function createAccess(schema: SchemaWriter): Promise<void> {
  await schema.createTable(
    'access_logs',
    (table, { text, longText, integer }) =>
      table
        .addColumn('id', text(50), (column) => column.primaryKey())
        .addColumn('timestamp', integer, (column) => column.notNull())
        .addColumn('username', text(50), (column) => column.notNull())
        .addColumn('action', text(100), (column) => column.notNull())
        .addColumn('resource', longText, (column) => column.notNull())
        .addColumn('method', text(20), (column) => column.notNull())
        .addColumn('status_code', integer, (column) => column.notNull())
        .addColumn('ip', text(45))
        .addColumn('user_agent', longText)
        .addColumn('duration', integer, (column) => column.notNull())
        .addColumn('details', longText)
        .addColumn('key_id', text(50))
        .addColumn('request_id', text(100), (column) => column.notNull())
        .addColumn('node', text(100), (column) => column.notNull()),
    [
      { name: 'access_logs_time', columns: ['timestamp', 'id'] },
      { name: 'access_logs_user', columns: ['username', 'timestamp'] },
    ],
  )
}

async function createAudit(schema: SchemaWriter): Promise<void> {
  await schema.createTable(
    'audit_log',
    (table, { text, longText, flag, integer }) =>
      table
        .addColumn('id', text(50), (column) => column.primaryKey())
        .addColumn('timestamp', integer, (column) => column.notNull())
        .addColumn('actor', text(100), (column) => column.notNull())
        .addColumn('action', text(100), (column) => column.notNull())
        .addColumn('target', longText, (column) => column.notNull())
        .addColumn('success', flag, (column) => column.notNull())
        .addColumn('details', longText)
        .addColumn('ip', text(45))
        .addColumn('node', text(100), (column) => column.notNull()),
    [{ name: 'audit_log_time', columns: ['timestamp', 'id'] }],
  )
}
