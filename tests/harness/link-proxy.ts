import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy on loopback that stands for the network between a worker and its coordinator. */
export class LinkProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #isCut = false

  /** @param target the coordinator's port on loopback */
  static async start(target: number): Promise<LinkProxy> {
    const server = createServer()
    const proxy = new LinkProxy(server, target)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  private constructor(server: Server, target: number) {
    this.#server = server
    this.#target = target
    server.on('connection', (socket) => this.#connected(socket))
  }

  get url(): string {
    const address = this.#server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  }

  /** Breaks every connection, and each new one, until `mend`. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#isCut = false
  }

  /** What is connected now stays open, and carries nothing any more. New connections work. */
  swallow(): void {
    for (const [client, coordinator] of this.#pairs) {
      client.unpipe(coordinator)
      coordinator.unpipe(client)
      for (const socket of [client, coordinator]) socket.resume()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.cut()
    await closed
  }

  #connected(client: Socket): void {
    if (this.#isCut) {
      client.destroy()
      return
    }
    const coordinator = connect(this.#target, '127.0.0.1')
    const pair = [client, coordinator] as const
    this.#pairs.add(pair)
    for (const socket of pair) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        this.#pairs.delete(pair)
        for (const other of pair) other.destroy()
      })
    }
    client.pipe(coordinator)
    coordinator.pipe(client)
  }
}
