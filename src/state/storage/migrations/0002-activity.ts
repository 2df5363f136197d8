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
  await schema.createLog(
    'mcp_usage_logs',
    (table, { text, longText, flag, integer }) =>
      table
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
    // No index: thousands of rows come a second, and each index costs every one. Users and servers are looked for along the time,
    // newest first.
  )
}

async function createAccess(schema: SchemaWriter): Promise<void> {
  await schema.createLog(
    'access_logs',
    (table, { text, longText, integer }) =>
      table
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
    [{ name: 'access_logs_user', columns: ['username', 'timestamp'] }],
  )
}

async function createAudit(schema: SchemaWriter): Promise<void> {
  await schema.createLog('audit_log', (table, { text, longText, flag }) =>
    table
      .addColumn('actor', text(100), (column) => column.notNull())
      .addColumn('action', text(100), (column) => column.notNull())
      .addColumn('target', longText, (column) => column.notNull())
      .addColumn('success', flag, (column) => column.notNull())
      .addColumn('details', longText)
      .addColumn('ip', text(45))
      .addColumn('node', text(100), (column) => column.notNull()),
  )
}
