import { TieredCache, type TierHealth } from '../../../src/tier/tier.js'
import { type Request, SimulatedPort } from './network.js'
import { Random } from './random.js'
import { type Command, Server } from './server.js'
import { FakeTime } from './time.js'

/** Ms, as the caches are set up. */
const STALENESS = 200
const PROCESSES = 2
const THREADS = 2
const STEPS = 600

export type Shape = 'dense' | 'sparse'

/** What a simulation came to. */
export interface Outcome {
  readonly violation: string | undefined
  readonly trace: readonly string[]
  readonly gets: number
  readonly bySource: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
}

interface Value {
  readonly key: number
  readonly version: number
  /** When its load began. */
  readonly born: number
}

/** A change, and whether the server that acknowledged it was no master any more. */
interface Change {
  readonly names: readonly string[]
  isSplit: boolean
}

interface Process {
  readonly index: number
  caches: (TieredCache<Value> | undefined)[]
  /** By key: what was changed, in the order in which the calls settled. */
  settled: { version: number; change: Change }[][]
  changes: Change[]
  /** When it was last answered by a server that was left behind, and first by each of the masters. */
  deposedAt: number
  contact: (number | undefined)[]
  /** Until when it is cut off from all servers. */
  cutOffUntil: number
}

const text = (part: string | Uint8Array | undefined): string =>
  typeof part === 'string' ? part : Buffer.from(part ?? []).toString()

let runs = 0

/** One seed, one course of events. */
export class Simulation {
  readonly #random: Random
  readonly #time: FakeTime
  readonly #isDense: boolean
  readonly #keys: number
  readonly #ttl: number
  readonly #servers: [Server, Server]
  readonly #processes: Process[]
  readonly #ports: SimulatedPort[] = []
  /** Requests of connections that are gone. */
  readonly #late: Request[] = []
  readonly #truth: number[]
  /** By key: what was acknowledged. */
  readonly #acknowledged: { version: number; at: number; incarnation: number; isSplit: boolean }[][]
  readonly #trace: string[] = []
  readonly #bySource: Record<string, number> = {}
  readonly #faults: Record<string, number> = {}
  readonly #later: { at: number; body: () => void }[] = []
  readonly #isTraced: boolean
  #current: Server
  #incarnation = 1
  #lookupOld = 0
  #underWay = 0
  #gets = 0
  /** When all had come back after the last fault. */
  #settled: number | undefined
  #isOver = false
  #violation: string | undefined
  readonly #name = `simulation${++runs}`

  constructor(seed: number, shape: Shape, isTraced = false) {
    this.#random = new Random(seed)
    this.#time = new FakeTime(this.#random.next)
    this.#isTraced = isTraced
    this.#isDense = shape === 'dense'
    this.#keys = this.#isDense ? 3 : 8
    this.#ttl = this.#random.pick([300, 1_500, 10_000])
    const server = (name: string) => new Server(name, this.#isDense ? 3 : 1_000, this.#isDense ? 2 : 50)
    this.#servers = [server('A'), server('B')]
    this.#current = this.#servers[0]
    this.#current.incarnation = 1
    this.#servers[1].syncFrom(this.#current)
    this.#truth = Array(this.#keys).fill(1)
    this.#acknowledged = this.#truth.map(() => [])
    this.#processes = Array.from({ length: PROCESSES }, (_, index) => ({
      index,
      caches: [],
      settled: this.#truth.map(() => []),
      changes: [],
      deposedAt: -1,
      contact: [],
      cutOffUntil: 0,
    }))
    for (const process of this.#processes) {
      for (let thread = 0; thread < THREADS; thread++) process.caches[thread] = this.#open(process, thread)
    }
  }

  #log(...what: unknown[]): void {
    if (this.#isTraced) this.#trace.push(`${this.#time.now.toFixed(1).padStart(8)} ${what.join(' ')}`)
  }

  #open(process: Process, thread: number): TieredCache<Value> {
    return new TieredCache<Value>({
      name: `${this.#name}:${process.index}`,
      namespace: 'simulation',
      engine: 'js',
      max: 1_000,
      maxStaleness: STALENESS,
      readTimeout: 25,
      writeTimeout: 70,
      near: this.#random.next() < 0.5 ? false : {},
      redis: () => {
        const port = new SimulatedPort(process.index, thread, (request) => {
          if (this.#random.next() < 0.6) this.#late.push(request)
        })
        port.connectAt = this.#time.now + this.#random.next() * 10
        this.#ports.push(port)
        return port
      },
    })
  }

  // The network.

  #target(): Server {
    const other = this.#servers.find((server) => server !== this.#current) as Server
    return this.#time.now < this.#lookupOld ? other : this.#current
  }

  #execute(server: Server, request: Request): void {
    server.now = this.#time.now
    request.at = this.#time.now
    request.incarnation = server.incarnation
    request.isSplit = server.incarnation < this.#incarnation
    try {
      request.reply = server.execute(request.command)
    } catch (error) {
      request.reply = error as Error
    }
    if (this.#isTraced)
      this.#log(`  ${server.name}${request.isSplit ? ' (left behind)' : ''}: ${describe(request)}`)
  }

  #noteReply(request: Request): void {
    if (request.reply instanceof Error) return
    const process = this.#processes[request.port.process] as Process
    if (request.isSplit) process.deposedAt = Math.max(process.deposedAt, request.at)
    for (let i = 0; i <= request.incarnation; i++) process.contact[i] ??= this.#time.now
    const names = changedNames(request.command)
    if (names === undefined) return
    for (const change of process.changes) {
      if (change.names.every((name) => names.includes(name))) change.isSplit = request.isSplit
    }
  }

  /** One thing that can happen on the network, if there is any. */
  #network(): boolean {
    const { now } = this.#time
    const moves: (() => void)[] = []
    for (const port of this.#ports) {
      if (port.isClosed || now < (this.#processes[port.process] as Process).cutOffUntil) continue
      if (!port.isOpen) {
        const server = this.#target()
        if (server.up && now >= port.connectAt) moves.push(() => port.connect(server))
        continue
      }
      const server = port.server as Server
      if (now < port.slowUntil || !server.up) continue
      if (port.requests.length > 0 && now >= server.frozenUntil) {
        moves.push(() => {
          const request = port.requests.shift() as Request
          this.#execute(server, request)
          port.replies.push(request)
        })
      }
      if (port.replies.length > 0) {
        moves.push(() => {
          const request = port.replies[0] as Request
          if (!request.isOver) this.#noteReply(request)
          port.deliver()
        })
      }
    }
    if (this.#late.length > 0 && this.#random.next() < 0.05) {
      moves.push(() => {
        const [request] = this.#late.splice(this.#random.below(this.#late.length), 1) as [Request]
        const server = request.port.server as Server
        if (server.up) this.#execute(server, request)
      })
    }
    if (moves.length === 0) return false
    this.#random.pick(moves)()
    return true
  }

  #dropAll(server: Server): void {
    for (const port of this.#ports) if (port.server === server) this.#drop(port)
  }

  #drop(port: SimulatedPort): void {
    port.drop()
    port.connectAt = this.#time.now + this.#random.next() * 10
  }

  // What programs do.

  #tagsOf(key: number): string[] {
    return key % 3 === 0 ? [] : [`t${key % 2}`]
  }

  #get(process: Process, thread: number, key: number, isLocal = false): void {
    const cache = process.caches[thread]
    if (cache === undefined) return
    const began = this.#time.now
    const known = process.settled[key]?.length ?? 0
    const who = `P${process.index}.${thread}`
    const served = (value: Value | undefined, source: string) => {
      if (value === undefined) return
      this.#gets++
      this.#bySource[source] = (this.#bySource[source] ?? 0) + 1
      this.#log(`${who} get ${key} (begun ${began.toFixed(1)}) = version ${value.version} from ${source}`)
      this.#check(process, key, value, began, known, `${who} from ${source}`)
    }
    const status: { source?: string | undefined } = {}
    const kind = isLocal ? 0 : this.#random.next()
    if (kind < 0.2) served(cache.getLocal(`k${key}`), 'local')
    else if (kind < 0.4) {
      this.#underWay++
      cache.get(`k${key}`).then(
        (value) => {
          this.#underWay--
          served(value, 'get')
        },
        () => this.#underWay--,
      )
    } else {
      this.#underWay++
      const most = this.#random.pick([6, 6, 6, 60, 60, 400])
      cache
        .getOrSet(
          `k${key}`,
          async () => {
            const born = this.#time.now
            await this.#sleep(this.#random.next() * 12)
            const version = this.#truth[key] as number
            await this.#sleep(this.#random.next() * most)
            return { key, version, born }
          },
          { tags: this.#tagsOf(key), ttl: this.#ttl, status: status as never },
        )
        .then(
          (value) => {
            this.#underWay--
            served(value, status.source ?? '?')
          },
          () => this.#underWay--,
        )
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  #change(process: Process, thread: number, kind: string, of: number): void {
    const cache = process.caches[thread]
    if (cache === undefined) return
    const tags = this.#tagsOf(of)
    const isTag = kind === 'tag' && tags.length > 0
    const keys =
      kind === 'clear'
        ? [...this.#truth.keys()]
        : isTag
          ? [...this.#truth.keys()].filter((key) => this.#tagsOf(key)[0] === tags[0])
          : [of]
    const versions = keys.map((key) => {
      this.#truth[key] = (this.#truth[key] as number) + 1
      return [key, this.#truth[key] as number] as const
    })
    const name = kind === 'clear' ? 'c' : isTag ? `#${tags[0]}` : `=k${of}`
    const change: Change = { names: [name], isSplit: false }
    process.changes.push(change)
    const who = `P${process.index}.${thread} ${kind} ${name}`
    this.#log(`${who} begins, version ${versions.map(([, version]) => version)}`)
    this.#underWay++
    const version = versions[0]?.[1] as number
    const call: Promise<unknown> =
      kind === 'clear'
        ? cache.clear()
        : isTag
          ? cache.invalidateTag(tags[0] as string)
          : kind === 'set'
            ? cache.set(`k${of}`, { key: of, version, born: this.#time.now }, { ttl: this.#ttl, tags })
            : cache.delete(`k${of}`)
    const settle = (isAcknowledged: boolean) => {
      this.#underWay--
      for (const [key, version] of versions) {
        process.settled[key]?.push({ version, change })
        if (!isAcknowledged) continue
        const { isSplit } = change
        const incarnation = this.#incarnation
        this.#acknowledged[key]?.push({ version, at: this.#time.now, incarnation, isSplit })
      }
      this.#log(`${who} ${isAcknowledged ? 'is acknowledged' : 'is pending'}`)
    }
    call.then(
      () => settle(true),
      (error) => {
        if (error?.code === 'ERR_CACHE_CHANGE_PENDING') settle(false)
        else this.#underWay--
        if (error?.code !== 'ERR_CACHE_CHANGE_PENDING' && error?.code !== 'ERR_CACHE_CLOSED') {
          this.#violation ??= `${who} failed: ${error?.stack ?? error}`
        }
      },
    )
  }

  // What must hold.

  #check(process: Process, key: number, value: Value, began: number, known: number, where: string): void {
    const fail = (promise: string, more: string) => {
      this.#violation ??= `${promise}: key ${key}, begun at ${began.toFixed(1)}, version ${value.version} (loaded at ${value.born.toFixed(1)}) by ${where}; ${more}`
      this.#log(`VIOLATION ${this.#violation}`)
    }
    if (value.key !== key) fail('KEY', `it is the value of key ${value.key}`)
    // A load may take longer than its value is to live; who waited for it is given it.
    const isLoaded = where.endsWith('load') || where.endsWith('shared')
    if (!isLoaded && began > value.born + this.#ttl)
      fail('T5', `its life was over ${(began - value.born - this.#ttl).toFixed(1)} ms before`)
    for (const { version, change } of process.settled[key]?.slice(0, known) ?? []) {
      // A server that is no master any more may lose what it acknowledged, until it is delivered again.
      if (version > value.version && !(change.isSplit && !this.#isOver))
        fail('T1', `version ${version} was settled in this process`)
    }
    for (const { version, at, incarnation, isSplit } of this.#acknowledged[key] ?? []) {
      const isExempt = isSplit && !this.#isOver
      if (version <= value.version || isExempt || at + STALENESS >= began) continue
      // Who can talk to a server that was left behind, and to no other, cannot know.
      const contact = process.contact[incarnation]
      const isCutOff =
        process.deposedAt > at - STALENESS && !(contact !== undefined && contact < began - STALENESS)
      if (this.#isOver || !isCutOff) fail('T2', `version ${version} was acknowledged at ${at.toFixed(1)}`)
    }
  }

  // Faults.

  #other(): Server {
    return this.#servers.find((server) => server !== this.#current) as Server
  }

  #promote(server: Server): void {
    server.promote(++this.#incarnation)
    this.#current = server
  }

  #demote(server: Server, keepsConnections: boolean): void {
    server.syncFrom(this.#current)
    if (!keepsConnections) this.#dropAll(server)
  }

  /** Starts the master again, with data of an earlier time or without. */
  #restart(data: Server['old']): void {
    const server = this.#current
    this.#dropAll(server)
    server.up = false
    server.restart(data, ++this.#incarnation)
    for (const other of this.#servers) if (other.source === server) other.syncFrom(server)
    this.#in(this.#random.next() * STALENESS, () => {
      server.up = true
    })
  }

  #in(ms: number, body: () => void): void {
    this.#later.push({ at: this.#time.now + ms, body })
  }

  readonly #faultsByName: Readonly<Record<string, (current: Server, other: Server) => void>> = {
    failover: (current, other) => {
      if (other.isMaster) return
      this.#promote(other)
      const ms = this.#random.next() < 0.3 ? 0 : this.#random.next() * 2 * STALENESS
      this.#lookupOld = this.#time.now + this.#random.next() * ms
      return this.#in(ms, () => {
        if (current !== this.#current && current.up) this.#demote(current, this.#random.next() < 0.3)
      })
    },
    coordinated: (current, other) => {
      if (other.isMaster) return
      while (other.replicate());
      this.#promote(other)
      return this.#demote(current, true)
    },
    'back and forth': (current, other) => {
      if (other.isMaster) return
      const survives = this.#random.next() < 0.3
      this.#promote(other)
      this.#demote(current, survives)
      return this.#in(this.#random.next() < 0.6 ? 0 : this.#random.next() * 20, () => {
        if (this.#current !== other || current.isMaster) return
        this.#promote(current)
        this.#demote(other, survives)
      })
    },
    empty: () => this.#restart(undefined),
    old: (current) => {
      if (current.old !== undefined) this.#restart(current.old)
    },
    flush: (current) => {
      return current.wipe()
    },
    record: (current) => {
      return current.write((data) => {
        data.v = undefined
      })
    },
    'older record': (current) => {
      return current.write((data) => {
        data.w = undefined
      })
    },
    log: (current) => {
      return current.write((data) => {
        data.log = []
      })
    },
    evict: (current) => {
      const key = `k${this.#random.below(this.#keys)}`
      return current.write((data) => {
        data.entries.delete(key)
      })
    },
    trim: (current) => {
      const left = this.#random.below(3)
      return current.write((data) => {
        data.log = left === 0 ? [] : data.log.slice(-left)
      })
    },
    full: (current) => {
      current.fullUntil = this.#time.now + this.#random.next() * STALENESS
    },
    freeze: () => {
      this.#random.pick(this.#servers).frozenUntil = this.#time.now + this.#random.next() * STALENESS * 1.5
    },
    slow: () => {
      this.#random.pick(this.#ports).slowUntil = this.#time.now + this.#random.next() * STALENESS * 2
    },
    kill: () => {
      const port = this.#random.pick(this.#ports)
      if (port.isOpen) this.#drop(port)
    },
    partition: () => {
      this.#random.pick(this.#processes).cutOffUntil = this.#time.now + this.#random.next() * STALENESS * 3
    },
    jump: () => {
      // As after SIGSTOP: time has passed, and no timer has fired when the first read comes.
      this.#time.now += this.#random.next() * STALENESS * 1.5
      for (const process of this.#processes) {
        this.#get(process, this.#random.below(THREADS), this.#random.below(this.#keys))
      }
    },
    thread: () => {
      const process = this.#random.pick(this.#processes)
      const thread = this.#random.below(THREADS)
      const cache = process.caches[thread]
      if (cache === undefined) return
      process.caches[thread] = undefined
      void cache.close()
      return this.#in(this.#random.next() * STALENESS, () => {
        process.caches[thread] = this.#open(process, thread)
      })
    },
    lookup: () => {
      if (this.#servers.every((server) => server.isMaster)) {
        this.#lookupOld = this.#time.now + this.#random.next() * STALENESS
      }
    },
  }

  #fault(): void {
    const fault = this.#random.pick(Object.keys(this.#faultsByName))
    this.#log(`FAULT ${fault}`)
    this.#faults[fault] = (this.#faults[fault] ?? 0) + 1
    this.#faultsByName[fault]?.(this.#current, this.#other())
  }

  // The course of events.

  async #step(): Promise<void> {
    const before = this.#time.now
    const due = this.#later.findIndex(({ at }) => at <= before)
    if (due >= 0) (this.#later.splice(due, 1)[0] as { body: () => void }).body()
    const isTimer = this.#random.next() < 0.4
    const pick = (n: number) => this.#random.below(n)
    const happened = isTimer
      ? this.#time.fire(pick) || this.#network()
      : this.#network() || this.#time.fire(pick)
    await this.#time.settle()
    if (!happened) this.#time.now += 1 + this.#random.next() * 4
    else if (this.#random.next() < 0.45) this.#time.now += this.#random.next() * 2
  }

  #replicate(): void {
    for (const server of this.#servers) if (this.#random.next() < 0.5) server.replicate()
  }

  async run(): Promise<Outcome> {
    try {
      await this.#run()
    } finally {
      for (const process of this.#processes) {
        // In one turn of the fake time: nothing is to be waited for.
        for (const cache of process.caches) void cache?.close()
      }
      for (let i = 0; i < 20; i++) {
        this.#time.now += 100
        while (this.#time.fire(() => 0));
        await this.#time.settle()
      }
      this.#time.end()
    }
    return {
      violation: this.#violation,
      trace: this.#trace,
      gets: this.#gets,
      bySource: this.#bySource,
      faults: this.#faults,
    }
  }

  async #run(): Promise<void> {
    const { next, pick } = { next: this.#random.next, pick: <T>(of: readonly T[]) => this.#random.pick(of) }
    const [faulty, replicating] = [pick([0.002, 0.006, 0.015, 0.03]), pick([0.02, 0.1, 0.4])]
    const writing = this.#isDense ? pick([0.1, 0.3]) : 0.08
    const hot = this.#random.below(this.#keys)
    for (let step = 0; step < STEPS && this.#violation === undefined; step++) {
      if (step > 60 && next() < faulty) this.#fault()
      if (next() < replicating) this.#replicate()
      if (next() < 0.01) this.#current.save()
      if (this.#underWay < 20 && next() < 0.15) {
        const process = pick(this.#processes)
        const thread = this.#random.below(THREADS)
        const key = next() < 0.5 ? hot : this.#random.below(this.#keys)
        if (next() < writing) {
          const kind = next() < 0.05 ? 'clear' : pick(['key', 'tag', 'set'])
          this.#change(process, thread, kind, key)
        } else this.#get(process, thread, key)
      }
      // What costs least shows most: whether anything is served that must not be.
      if (next() < 0.5) {
        const key = next() < 0.5 ? hot : this.#random.below(this.#keys)
        this.#get(pick(this.#processes), this.#random.below(THREADS), key, true)
      }
      await this.#step()
    }
    if (this.#violation === undefined) await this.#recover()
  }

  /** Once nothing fails any more everything must come back. */
  async #recover(): Promise<void> {
    this.#log('no more faults')
    for (const server of this.#servers) {
      server.frozenUntil = 0
      server.fullUntil = 0
      server.up = true
    }
    this.#lookupOld = 0
    for (const { body } of this.#later.splice(0)) body()
    if (this.#other().isMaster) this.#demote(this.#other(), true)
    for (const port of this.#ports) port.slowUntil = 0
    for (const process of this.#processes) process.cutOffUntil = 0
    const end = this.#time.now + 6_000
    while (this.#time.now < end && this.#violation === undefined) {
      this.#replicate()
      await this.#step()
      if (this.#underWay > 0 || !this.#isWell()) continue
      this.#settled ??= this.#time.now
      if (this.#time.now > this.#settled + 2 * STALENESS) return this.#readAll()
    }
    if (this.#violation !== undefined) return
    for (const { index, caches } of this.#processes) {
      for (const cache of caches) {
        const health = cache?.health()
        if (health !== undefined && !isWell(health)) {
          this.#violation ??= `LIVE: P${index} is ${JSON.stringify(health)}, ${String((health.error as Error)?.message)}`
        }
      }
    }
    if (this.#underWay > 0) this.#violation ??= `LIVE: ${this.#underWay} calls have not settled`
  }

  /** Reads everything in all processes, when nothing excuses anything old. */
  async #readAll(): Promise<void> {
    this.#isOver = true
    const { settled } = this.#processes[0] as Process
    for (const key of settled.keys()) {
      for (const process of this.#processes) {
        for (const thread of process.caches.keys()) {
          this.#get(process, thread, key, true)
          this.#get(process, thread, key)
        }
      }
    }
    for (let step = 0; this.#underWay > 0 && step < 10_000; step++) await this.#step()
  }

  #isWell(): boolean {
    return this.#processes.every(({ caches }) =>
      caches.every((cache) => cache === undefined || isWell(cache.health())),
    )
  }
}

/** The breaker of a thread opens again only when something is asked. */
function isWell({ lease, redis, pending }: TierHealth): boolean {
  return lease.heldForMs > 0 && redis.attached && pending === 0
}

function changedNames(command: Command): string[] | undefined {
  const count = Number(text(command[2]))
  const keys = command.slice(3, 3 + count).map(text)
  if (text(command[0]) !== 'EVALSHA' || !keys[0]?.endsWith(':v') || !keys[2]?.endsWith(':l')) return undefined
  const args = command.slice(3 + count)
  // `ATTACH` has three arguments.
  if (args.length < 6) return undefined
  return args.slice(5, 5 + Number(text(args[4]))).map(text)
}

function describe({ command, reply, port }: Request): string {
  const keys = command
    .slice(3)
    .map((part) => (part.length > 40 ? '…' : text(part).replace('{sc1:simulation}', '')))
  const answer =
    reply instanceof Error
      ? reply.message
      : JSON.stringify(reply, (_, value) =>
          value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1').slice(0, 40) : value,
        )
  return `P${port.process}.${port.thread} ${text(command[0])} ${keys.join(' ').slice(0, 120)} -> ${answer.slice(0, 160)}`
}

/** Runs a seed. */
export function simulate(seed: number, shape: Shape, isTraced = false): Promise<Outcome> {
  return new Simulation(seed, shape, isTraced).run()
}
