/** What the command line says to people, in both languages of the product. */
const EN = {
  describe: 'One MCP endpoint over many MCP servers.',
  serve: 'Start the hub (the default).',
  config: 'Look at the settings.',
  configValidate: 'Check a settings file; says where and why it is wrong.',
  configShow: 'Show the configuration in force.',
  optionPort: 'port to listen on (PORT; 0 = any free one)',
  optionHost: 'address to listen on (HOST)',
  optionDataDir: 'folder for what the hub remembers (DATA_DIR)',
  optionSettings: 'settings file (MCPHUB_SETTING_PATH)',
  optionLogLevel: 'trace, debug, info, warn, error, fatal or silent (LOG_LEVEL)',
  optionLang: 'language of texts for people: en or zh-CN (LANG)',
  optionOrigin: 'also say where each value comes from',
  optionOutput: 'table or json',
  examples: 'Examples:',
  valid: (file: string, servers: number, groups: number) =>
    `${file} is valid: ${servers} servers, ${groups} groups.`,
  endpoint: 'Endpoint',
  connect: 'Connect a client',
  bearer: 'The endpoint needs a bearer key: add the header "Authorization: Bearer <key>".',
  exampleInUse: (path: string) =>
    `No settings at ${path}: serving the bundled example. Create that file to serve your own.`,
  configExport: 'Print the settings as an mcp_settings.json.',
  migrate: 'Move the settings from the file to the database.',
  migrateRollback: 'Write the settings of the database to the file, and use that again.',
  backup: 'Write everything that the hub remembers into one file, with the hub running or not.',
  restore: 'Put a backup in the place of everything.',
  secrets: 'Secrets that are kept sealed.',
  secretsRotate:
    'Seal all secrets under the present CRYPTO_SECRET (CRYPTO_SECRET_OLD opens those of before).',
  argumentBackup: 'file of the backup',
  optionSecrets: 'how secrets are printed: masked, sealed or open',
  optionFrom: 'where the settings are',
  optionTo: 'where they are to be',
  optionDualWrite: 'keep the file up to date beside the database, for a transition',
  optionWithoutSecrets:
    'leave out the secrets that the hub has generated; without them sealed values cannot be read',
  optionYes: 'replace what is there',
  migrated: (servers: number, groups: number, users: number, backup: string | undefined) =>
    `The settings are in the database now: ${servers} servers, ${groups} groups, ${users} users.${backup ? ` The file as it was: ${backup}.` : ''} Restart the hub.`,
  rolledBack: (file: string) => `The settings are in ${file} again. Restart the hub.`,
  backedUp: (file: string, withSecrets: boolean) =>
    `Written: ${file}.${withSecrets ? ' It holds the keys to its secrets: guard it.' : ''}`,
  restored: (at: string, rows: number) => `Restored: the backup of ${at}, ${rows} rows. Restart the hub.`,
  rotated: (documents: number) =>
    `All secrets are sealed under the present key; ${documents} documents changed.`,
  setup: 'No users yet. Open this link, once, to choose the first administrator:',
  preset: 'The user "admin" was made, with the password of ADMIN_PASSWORD.',
  starting: (count: number) => `Starting ${count} servers …`,
  ready: (up: number, total: number, tools: number) => `Ready: ${up} of ${total} servers, ${tools} tools.`,
  down: (server: string, why: string) => `  ${server}: ${why}`,
  stopping: 'Stopping: calls in flight may finish. Press Ctrl-C again to stop at once.',
}

const ZH: typeof EN = {
  describe: '一个 MCP 端点，汇聚众多 MCP 服务器。',
  serve: '启动 Hub（默认命令）。',
  config: '查看设置。',
  configValidate: '检查设置文件，指出错误的位置和原因。',
  configShow: '显示当前生效的配置。',
  optionPort: '监听端口（PORT；0 表示任意空闲端口）',
  optionHost: '监听地址（HOST）',
  optionDataDir: '数据目录（DATA_DIR）',
  optionSettings: '设置文件（MCPHUB_SETTING_PATH）',
  optionLogLevel: 'trace、debug、info、warn、error、fatal 或 silent（LOG_LEVEL）',
  optionLang: '提示语言：en 或 zh-CN（LANG）',
  optionOrigin: '同时显示每个值的来源',
  optionOutput: 'table 或 json',
  examples: '示例：',
  valid: (file, servers, groups) => `${file} 有效：${servers} 个服务器，${groups} 个分组。`,
  endpoint: '端点',
  connect: '连接客户端',
  bearer: '该端点需要密钥：请添加请求头 "Authorization: Bearer <key>"。',
  exampleInUse: (path) => `未找到设置文件 ${path}：正在使用内置示例。创建该文件即可使用您自己的服务器。`,
  configExport: '以 mcp_settings.json 格式输出设置。',
  migrate: '将设置从文件迁移到数据库。',
  migrateRollback: '将数据库中的设置写回文件，并恢复使用该文件。',
  backup: '将 Hub 保存的全部数据写入一个文件，Hub 运行与否均可。',
  restore: '用备份替换现有的全部数据。',
  secrets: '加密保存的机密。',
  secretsRotate: '用当前的 CRYPTO_SECRET 重新加密所有机密（旧密钥由 CRYPTO_SECRET_OLD 提供）。',
  argumentBackup: '备份文件',
  optionSecrets: '机密的输出方式：masked（遮盖）、sealed（加密）或 open（明文）',
  optionFrom: '设置当前所在位置',
  optionTo: '设置的目标位置',
  optionDualWrite: '过渡期间同时更新文件和数据库',
  optionWithoutSecrets: '不包含 Hub 生成的密钥；没有它们就无法读取加密的值',
  optionYes: '替换现有数据',
  migrated: (servers, groups, users, backup) =>
    `设置已迁移到数据库：${servers} 个服务器，${groups} 个分组，${users} 个用户。${backup ? `原文件备份：${backup}。` : ''}请重启 Hub。`,
  rolledBack: (file) => `设置已写回 ${file}。请重启 Hub。`,
  backedUp: (file, withSecrets) =>
    `已写入：${file}。${withSecrets ? '其中包含解密所需的密钥，请妥善保管。' : ''}`,
  restored: (at, rows) => `已恢复：${at} 的备份，共 ${rows} 行。请重启 Hub。`,
  rotated: (documents) => `所有机密已用当前密钥加密；更新了 ${documents} 份文档。`,
  setup: '尚无用户。请打开以下链接（仅可使用一次），设置第一位管理员：',
  preset: '已创建用户 "admin"，密码取自 ADMIN_PASSWORD。',
  starting: (count) => `正在启动 ${count} 个服务器……`,
  ready: (up, total, tools) => `就绪：${up}/${total} 个服务器，${tools} 个工具（Tools）。`,
  down: (server, why) => `  ${server}：${why}`,
  stopping: '正在停止：等待进行中的调用结束。再按一次 Ctrl-C 立即停止。',
}

export type Texts = typeof EN

/** @param language such as `zh_CN.UTF-8`, `zh-CN` or `en_US` */
export function textsFor(language: string | undefined): Texts {
  return /^zh/i.test(language ?? '') ? ZH : EN
}
