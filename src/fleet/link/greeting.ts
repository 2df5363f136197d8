import type { RawData, WebSocket } from 'ws'
import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import { violation } from './frames.ts'

export interface GreetingUser {
  /** What is done with the first message, the second, and so on. What a step throws ends the greeting. */
  readonly steps: readonly ((text: string) => void)[]
  /** Called at most once. The result is sent to the other side as a last word. */
  failed(reason: HubError): string | undefined
  /** Called once, in either case. */
  over?(): void
}

const GREETING_MS = 10_000
/** For the other side to read why it was refused. */
const LAST_WORD_MS = 1_000
const CLOSE_CODE = 4001
const SEND_OPTIONS = { binary: true, compress: false }

/** The messages on a new socket before it is a link: few, short, and soon. */
export class Greeting {
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #user: GreetingUser
  readonly #timer: Timer
  #step = 0
  #over = false

  constructor(socket: WebSocket, clock: Clock, user: GreetingUser) {
    this.#socket = socket
    this.#clock = clock
    this.#user = user
    this.#timer = clock.after(GREETING_MS, () => this.fail(tooSlow()))
    socket.on('message', this.#onMessage)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  get isOver(): boolean {
    return this.#over
  }

  say(text: string): void {
    this.#socket.send(Buffer.from(text), SEND_OPTIONS)
  }

  /** The socket, which is the caller's now. */
  finish(): WebSocket {
    this.#end()
    this.#socket.off('message', this.#onMessage)
    this.#socket.off('error', this.#onError)
    this.#socket.off('close', this.#onClose)
    return this.#socket
  }

  /** Ends the greeting and the socket. Later calls do nothing. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#end()
    const word = this.#user.failed(toHubError(error))
    if (word !== undefined) this.say(word)
    this.#socket.close(CLOSE_CODE)
    const timer = this.#clock.after(LAST_WORD_MS, () => this.#socket.terminate())
    this.#socket.once('close', () => timer.stop())
  }

  #end(): void {
    this.#over = true
    this.#timer.stop()
    this.#user.over?.()
  }

  readonly #onMessage = (data: RawData, isBinary: boolean) => {
    if (this.#over) return
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw violation('a text message came')
      const step = this.#user.steps[this.#step]
      if (!step) throw violation('a message came before its time')
      this.#step += 1
      step(data.toString())
    } catch (error) {
      this.fail(error)
    }
  }

  readonly #onError = (error: Error) => this.fail(violation(messageOf(error), error))

  readonly #onClose = () => this.fail(goneAway())
}

function tooSlow(): HubError {
  return new HubError('link.lost', `The other node did not finish its greeting within ${GREETING_MS} ms.`, {
    cure: 'Look at the load of the other node and at the network between the two.',
  })
}

function goneAway(): HubError {
  return new HubError('link.lost', 'The other node hung up before the link was made.', {
    cure: 'Look at the log of the other node.',
  })
}
