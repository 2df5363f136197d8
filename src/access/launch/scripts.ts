import { refused } from './options.ts'

/** Tools that come along with the interpreters and run what their arguments say. */
const TOOLS =
  /\/(npm|npx|corepack|yarn|pnpm|tsx|ts-node|zx)\/|\/(lib|lib64)\/python[\d.]*\/(?!site-packages|dist-packages)/i

/**
 * The file that an interpreter is to run.
 * @throws HubError `server.launch-denied` unless it is one
 */
export function checkScript(launcher: string, script: string | undefined): void {
  if (script === undefined || script === '' || script === '-')
    throw refused(`${launcher} needs the file of a server to run.`, 'Name it before its own arguments.')
  const name = JSON.stringify(script.slice(0, 100))
  if (/^[a-z][a-z0-9+.-]*:/i.test(script))
    throw refused(
      `${launcher} may run files only, and ${name} is a URL.`,
      'Install the server and name its file.',
    )
  if (/^(\/+(dev|proc|sys)(\/|$))/.test(script.replace(/\/\.?(?=\/)/g, '')))
    throw refused(`${launcher} may not run ${name}: that is no file of a server.`)
  if (script.split(/[\\/]/).includes('..'))
    throw refused(
      `${launcher} may not run ${name}: it leads out of its folder.`,
      'Write the path without "..".',
    )
  if (TOOLS.test(script)) throw refused(`${launcher} may not run ${name}: that is a tool and no server.`)
}

export function isFolder(path: string): boolean {
  return path.startsWith('/') && !path.split('/').includes('..') && !/^\/+(dev|proc|sys)(\/|$)/.test(path)
}
