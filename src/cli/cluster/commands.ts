import type { Command } from 'commander'
import { holdProcess, systemClock } from '../../kernel/clock.ts'
import type { Output } from '../output.ts'
import type { RemoteContext } from './context.ts'
import { HubClient } from './hub-client.ts'
import { changeNode, listNodes, removeNode, showNode } from './nodes.ts'
import { type RemoteFlags, readRemote } from './remote.ts'
import { listServers, restartServer, scaleServer, showReplicas } from './servers.ts'
import { endSession, listSessions, showSession } from './sessions.ts'
import { type EventsWish, showEvents, showStatus } from './status.ts'
import { type ClusterTexts, clusterTextsFor } from './texts.ts'

export interface ClusterCommandsDeps {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  /** Such as `zh_CN.UTF-8`. */
  readonly language: string | undefined
  /** Ends what is followed; without it only the end of the process does. */
  readonly signal?: AbortSignal
}

/** What every command here is made with. */
interface Made {
  readonly texts: ClusterTexts
  context(flags: RemoteFlags): RemoteContext
  readonly signal: AbortSignal
}

/** Commands that ask a running hub, on this machine or another. */
export function addClusterCommands(program: Command, deps: ClusterCommandsDeps): void {
  const texts = clusterTextsFor(deps.language)
  const json = deps.argv.includes('--json')
  const made: Made = {
    texts,
    signal: deps.signal ?? new AbortController().signal,
    context: (flags) => {
      const hub = new HubClient(readRemote(flags, deps.environment))
      return { hub, output: deps.output, texts, json, clock: systemClock }
    },
  }
  asking(program.command('status').description(texts.status), texts).action((flags: RemoteFlags) =>
    showStatus(made.context(flags)),
  )
  addNodeCommands(program, made)
  addServerCommands(program, made)
  addSessionCommands(program, made)
  asking(program.command('events').description(texts.events), texts)
    .option('-f, --follow', texts.optionFollow, false)
    .option('--since <number>', texts.optionSince, '0')
    .option('--limit <number>', texts.optionLimit, '200')
    .action(async (flags: RemoteFlags & EventsWish) => {
      const letGo = holdProcess()
      await showEvents(made.context(flags), flags, made.signal).finally(letGo)
    })
}

/** A command with the flags that say which hub is asked. */
function asking(command: Command, texts: ClusterTexts): Command {
  return command
    .option('--url <url>', texts.optionUrl)
    .option('--key <key>', texts.optionKey)
    .option('--key-file <file>', texts.optionKeyFile)
}

function addNodeCommands(program: Command, { texts, context }: Made): void {
  const node = program.command('node').description(texts.node)
  asking(node.command('list').description(texts.nodeList), texts)
    .option('--active', texts.optionActive, false)
    .action((flags: RemoteFlags & { active: boolean }) => listNodes(context(flags), flags.active))
  const one = (name: string, description: string) =>
    asking(node.command(name).description(description), texts).argument('<id>', texts.argumentNode)
  one('show', texts.nodeShow).action((id: string, flags: RemoteFlags) => showNode(context(flags), id))
  for (const action of ['cordon', 'uncordon', 'drain'] as const) {
    const description = { cordon: texts.nodeCordon, uncordon: texts.nodeUncordon, drain: texts.nodeDrain }
    one(action, description[action]).action((id: string, flags: RemoteFlags) =>
      changeNode(context(flags), action, id),
    )
  }
  one('remove', texts.nodeRemove).action((id: string, flags: RemoteFlags) => removeNode(context(flags), id))
}

function addServerCommands(program: Command, { texts, context }: Made): void {
  const server = program.command('server').description(texts.server)
  asking(server.command('list').description(texts.serverList), texts).action((flags: RemoteFlags) =>
    listServers(context(flags)),
  )
  const one = (name: string, description: string) =>
    asking(server.command(name).description(description), texts).argument('<name>', texts.argumentServer)
  one('scale', texts.serverScale)
    .argument('<count>', texts.argumentCount)
    .action((name: string, count: string, flags: RemoteFlags) => scaleServer(context(flags), name, count))
  one('replicas', texts.serverReplicas).action((name: string, flags: RemoteFlags) =>
    showReplicas(context(flags), name),
  )
  one('restart', texts.serverRestart).action((name: string, flags: RemoteFlags) =>
    restartServer(context(flags), name),
  )
}

function addSessionCommands(program: Command, { texts, context }: Made): void {
  const session = program.command('session').description(texts.session)
  asking(session.command('list').description(texts.sessionList), texts)
    .option('--limit <number>', texts.optionLimit, '100')
    .action((flags: RemoteFlags & { limit: string }) => listSessions(context(flags), flags.limit))
  const one = (name: string, description: string) =>
    asking(session.command(name).description(description), texts).argument('<id>', texts.argumentSession)
  one('show', texts.sessionShow).action((id: string, flags: RemoteFlags) => showSession(context(flags), id))
  one('end', texts.sessionEnd).action((id: string, flags: RemoteFlags) => endSession(context(flags), id))
}
