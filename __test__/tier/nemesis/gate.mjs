import net from 'node:net'

/** One direction of a connection: what was sent is passed on in its order. */
class Lane {
  #proxy
  #to
  #isReply
  #queue = /** @type {{ at: number, chunk: Buffer }[]} */ ([])
  #timer = /** @type {NodeJS.Timeout | undefined} */ (undefined)

  /** @param {Gate} proxy @param {net.Socket} from @param {net.Socket} to @param {boolean} isReply */
  constructor(proxy, from, to, isReply) {
    this.#proxy = proxy
    this.#to = to
    this.#isReply = isReply
    from.on('data', (chunk) => {
      this.#queue.push({ at: performance.now() + proxy.delay, chunk })
      this.pump()
    })
    const end = () => {
      clearTimeout(this.#timer)
      from.destroy()
      to.destroy()
    }
    from.on('close', end)
    from.on('error', end)
  }

  pump() {
    clearTimeout(this.#timer)
    while (this.#queue.length > 0 && !this.#proxy.isFrozen) {
      const head = this.#queue[0]
      const wait = head.at - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), wait)
        return
      }
      const { bytesPerSecond } = this.#proxy
      if (bytesPerSecond < Infinity) {
        const some = Math.max(1, Math.floor(bytesPerSecond / 20))
        this.#to.write(head.chunk.subarray(0, some))
        head.chunk = head.chunk.subarray(some)
        if (head.chunk.length === 0) this.#queue.shift()
        this.#timer = setTimeout(() => this.pump(), 50)
        return
      }
      if (this.#isReply && this.#proxy.takeHalf(head.chunk)) {
        this.#to.write(head.chunk.subarray(0, head.chunk.length >> 1), () => this.#to.destroy())
        return
      }
      this.#queue.shift()
      this.#to.write(head.chunk)
    }
  }
}

/** What stands between one process and its server. */
export class Gate {
  #server
  #sockets = new Set(/** @type {net.Socket[]} */ ([]))
  #lanes = new Set(/** @type {Lane[]} */ ([]))
  #halves = 0
  isFrozen = false
  isShut = false
  /** Ms that each part waits. */
  delay = 0
  bytesPerSecond = Number.POSITIVE_INFINITY

  /** @param {string} path @param {() => net.NetConnectOpts} target */
  constructor(path, target) {
    this.path = path
    this.#server = net.createServer((client) => {
      if (this.isShut) {
        client.on('error', () => {})
        client.destroy()
        return
      }
      const server = net.connect(target())
      const lanes = [new Lane(this, client, server, false), new Lane(this, server, client, true)]
      for (const lane of lanes) this.#lanes.add(lane)
      for (const socket of [client, server]) this.#sockets.add(socket)
      client.on('close', () => {
        for (const socket of [client, server]) this.#sockets.delete(socket)
        for (const lane of lanes) this.#lanes.delete(lane)
      })
    })
  }

  /** @returns {Promise<void>} */
  listen() {
    return new Promise((resolve) => this.#server.listen(this.path, () => resolve()))
  }

  cut() {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Has the next `count` replies broken off in the middle. */
  breakReplies(count = 1) {
    this.#halves = count
  }

  get halvesLeft() {
    return this.#halves
  }

  takeHalf(/** @type {Buffer} */ chunk) {
    if (this.#halves === 0 || chunk.length < 2) return false
    this.#halves--
    return true
  }

  /** Lets everything through again. */
  heal() {
    this.isFrozen = false
    this.isShut = false
    this.delay = 0
    this.bytesPerSecond = Number.POSITIVE_INFINITY
    this.#halves = 0
    for (const lane of this.#lanes) lane.pump()
  }

  close() {
    this.cut()
    this.#server.close()
  }
}
