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
