import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'

/** The page behind the setup link, until there is a dashboard. The token stands in the fragment, which no proxy sees. */
const SCRIPT = `
const zh = navigator.language.startsWith('zh')
const say = (id, en, cn) => { document.getElementById(id).textContent = zh ? cn : en }
document.documentElement.lang = zh ? 'zh-CN' : 'en'
say('title', 'Set up Flotilla', '设置 Flotilla')
say('intro', 'Choose the name and password of the first administrator.', '请设置第一位管理员的用户名和密码。')
say('name-label', 'Username', '用户名')
say('password-label', 'Password (at least 8 characters)', '密码（至少 8 个字符）')
say('go', 'Create', '创建')
const token = new URLSearchParams(location.hash.slice(1)).get('token')
const result = document.getElementById('result')
if (!token) say('result', 'Open the whole link that the hub has printed.', '请打开 Hub 打印的完整链接。')
document.getElementById('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const body = JSON.stringify({ token, username: event.target.username.value, password: event.target.password.value })
  try {
    const answer = await fetch('/api/auth/setup', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const { success, message, cure } = await answer.json()
    if (success) {
      history.replaceState(null, '', location.pathname)
      document.getElementById('form').remove()
      say('result', 'Done. You can log in: POST /api/auth/login.', '完成。现在可以登录：POST /api/auth/login。')
    } else result.textContent = [message, cure].filter(Boolean).join(' ')
  } catch (error) {
    result.textContent = String(error)
  }
})
`

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif }
body { max-width: 26rem; margin: 12vh auto; padding: 0 1rem }
label { display: block; margin-top: 1rem }
input { width: 100%; box-sizing: border-box; font: inherit; padding: .5rem }
button { margin-top: 1.5rem; font: inherit; padding: .5rem 1.5rem }
`

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Flotilla</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1 id="title">Set up Flotilla</h1>
<p id="intro"></p>
<form id="form">
<label for="username" id="name-label">Username</label>
<input id="username" name="username" autocomplete="username" required maxlength="50">
<label for="password" id="password-label">Password</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="8" maxlength="256">
<button id="go">Create</button>
</form>
<p id="result" role="status"></p>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`

/** Sends the page, which may run this one script, talk to this hub, and be framed by nobody. */
export function setupPage(): (response: ServerResponse) => void {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  const policy = [
    "default-src 'none'",
    `script-src ${hash(SCRIPT)}`,
    `style-src ${hash(STYLE)}`,
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return (response) => {
    response.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    })
    response.end(PAGE)
  }
}
