import type { z } from 'zod'
import * as contract from '../../api/contract/cluster.ts'
import { nothing } from '../../api/contract/shared.ts'
import { ago, type RemoteContext, segment, show, tell } from './context.ts'

type Session = z.output<typeof contract.sessions>['sessions'][number]
const SESSIONS = '/api/cluster/sessions'

/** `flotilla session list`. */
export async function listSessions(context: RemoteContext, limit: string): Promise<void> {
  const { texts, output, json } = context
  const path = `${SESSIONS}?limit=${segment(limit)}`
  const { sessions, total } = await context.hub.get(path, contract.sessions)
  show(context, { sessions, total }, sessionRows(context, sessions), texts.noSessions)
  if (!json && sessions.length > 0 && sessions.length < total)
    output.talk(texts.moreSessions(sessions.length, total))
}

/** `flotilla session show <id>`. */
export async function showSession(context: RemoteContext, id: string): Promise<void> {
  const session = await context.hub.get(`${SESSIONS}/${segment(id)}`, contract.session)
  show(context, session, sessionRows(context, session.routes), context.texts.noSessions)
}

/** `flotilla session end <id>`. */
export async function endSession(context: RemoteContext, id: string): Promise<void> {
  await context.hub.send('DELETE', `${SESSIONS}/${segment(id)}`, { answer: nothing })
  tell(context, { ended: true }, context.texts.endDone)
}

function sessionRows({ texts, clock }: RemoteContext, sessions: readonly Session[]): string[][] {
  const heading = [
    texts.columnSession,
    texts.columnServer,
    texts.columnReplica,
    texts.columnNode,
    texts.columnUsed,
  ]
  const now = clock.now()
  return [
    heading,
    ...sessions.map(({ sessionId, serverName, replicaId, nodeId, lastActivity }) => [
      sessionId,
      serverName,
      replicaId,
      nodeId,
      ago(lastActivity, now, texts),
    ]),
  ]
}
