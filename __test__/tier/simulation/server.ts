import { ATTACH, CHANGE, FOLLOW, LAND, READ } from '../../../src/tier/scripts.js'

export type Command = readonly (string | Uint8Array)[]
export type Reply = Buffer | number | string | null | readonly Reply[]

interface Generation {
  g: number
  r: string
  s: number
  b: number
  f: number
  h: boolean
  names: Map<string, number>
}

interface Entry {
  bytes: Uint8Array
  exp: number
}

interface Data {
  v: Generation | undefined
  w: Generation | undefined
  log: { s: number; event: Uint8Array }[]
  entries: Map<string, Entry>
}

type Write = (data: Data) => void

const blank = (): Data => ({ v: undefined, w: undefined, log: [], entries: new Map() })
const copyOf = (data: Data): Data => ({
  v: data.v && { ...data.v, names: new Map(data.v.names) },
  w: data.w && { ...data.w, names: new Map(data.w.names) },
  log: data.log.slice(),
  entries: new Map(data.entries),
})

const SPREAD = 2 ** 26
/** The ms between the clock of the server and that of the simulation. */
const SKEW = 77_000

const text = (value: string | Uint8Array | undefined): string =>
  typeof value === 'string' ? value : Buffer.from(value ?? []).toString()
const bulk = (value: string | number | bigint): Buffer => Buffer.from(String(value))
const keyOf = (redisKey: string): string => redisKey.slice(redisKey.indexOf('}') + 3)

/** What an entry says of itself. */
function parse(bytes: Uint8Array) {
  const entry = Buffer.from(bytes)
  const number = (at: number) => Number(entry.readBigUInt64BE(at))
  const tags: string[] = []
  let end = 35
  for (let left = entry[34] as number; left > 0; left--) {
    const length = entry[end] as number
    tags.push(entry.toString('utf8', end + 1, end + 1 + length))
    end += length + 1
  }
  return {
    g: number(2),
    s: number(10),
    ttl: number(18),
    grace: number(26),
    enc: entry[1] as number,
    tags,
    payload: entry.subarray(end),
  }
}

let ids = 0

/** A server with the record of one namespace: what its scripts do, and nothing of how. */
export class Server {
  readonly name: string
  /** The most names of a generation, and the most changes in the log. */
  readonly #limit: number
  readonly #most: number
  up = true
  frozenUntil = 0
  fullUntil = 0
  isMaster = true
  run = `run${++ids}`
  replication = `rep${++ids}`
  data = blank()
  old: Data | undefined
  /** How many masters there had been when it became one. */
  incarnation = 0
  #writes: Write[] = []
  source: Server | undefined
  #applied = 0
  now = 0

  constructor(name: string, limit: number, most: number) {
    this.name = name
    this.#limit = limit
    this.#most = most
  }

  #id(): string {
    return this.run + this.replication
  }

  write(body: Write): void {
    body(this.data)
    this.#writes.push(body)
  }

  syncFrom(source: Server): void {
    this.isMaster = false
    this.source = source
    this.data = copyOf(source.data)
    this.#writes = []
    this.#applied = source.#writes.length
    this.replication = source.replication
  }

  promote(incarnation: number): void {
    this.isMaster = true
    this.source = undefined
    this.replication = `rep${++ids}`
    this.incarnation = incarnation
    this.#writes = []
  }

  restart(data: Data | undefined, incarnation: number): void {
    this.run = `run${++ids}`
    this.replication = `rep${++ids}`
    this.incarnation = incarnation
    this.#writes = []
    this.data = data === undefined ? blank() : copyOf(data)
  }

  /** Applies a write of its master; `false` if there is none to apply. */
  replicate(): boolean {
    const next = this.source?.up === true ? this.source.#writes[this.#applied] : undefined
    if (next === undefined) return false
    this.#applied++
    next(this.data)
    return true
  }

  save(): void {
    this.old = copyOf(this.data)
  }

  wipe(): void {
    this.write((data) => Object.assign(data, blank()))
  }

  /** @throws An error reply. */
  execute(command: Command): Reply {
    const [name, first] = command.map(text)
    if (name === 'PING') return 'PONG'
    if (name === 'SET') return this.#set(command)
    if (name === 'XREAD') return null
    if (name === 'INFO') return bulk('maxmemory_policy:noeviction')
    if (name !== 'EVALSHA') throw new Error(`ERR unknown command ${name}`)
    const count = Number(text(command[2]))
    const keys = command.slice(3, 3 + count).map(text)
    const args = command.slice(3 + count)
    switch (first) {
      case ATTACH.sha:
        return this.#attach(args)
      case READ.sha:
        return this.#read(keys, args)
      case CHANGE.sha:
        return this.#change(keys, args)
      case FOLLOW.sha:
        return this.#follow(args)
      case LAND.sha:
        return 1
      default:
        throw new Error('NOSCRIPT No matching script')
    }
  }

  #set(command: Command): Reply {
    if (!this.isMaster) throw new Error("READONLY You can't write against a read only replica.")
    if (this.now < this.fullUntil) throw new Error('OOM command not allowed')
    const exp = Number(text(command[4])) - SKEW
    const entry = { bytes: command[2] as Uint8Array, exp }
    const key = keyOf(text(command[1]))
    if (exp > this.now) this.write((data) => data.entries.set(key, entry))
    return 'OK'
  }

  #check(flag: string | Uint8Array | undefined): void {
    if (text(flag) !== '1') return
    if (!this.isMaster) throw new Error('NOTMASTER the server is a replica')
    if (this.data.v?.r !== this.#id()) throw new Error('NOEPOCH there is no record')
  }

  #record(): Generation {
    const { v } = this.data
    if (v === undefined) throw new Error('NOEPOCH there is no record')
    return v
  }

  #attach(args: Command): Reply {
    if (!this.isMaster) throw new Error('NOTMASTER the server is a replica')
    const [random, g0, s0] = args.map((arg) => Number(text(arg))) as [number, number, number]
    const { v, w } = this.data
    const lost =
      v === undefined || v.r !== this.#id() || v.g < g0 || (v.g === g0 && v.s < s0) || (v.h && w?.g !== v.g)
    const time = Math.floor(this.now + SKEW)
    if (!lost) return [bulk(v.g), bulk(v.s), time]
    if (this.now < this.fullUntil) throw new Error('OOM command not allowed')
    const n = Math.max(Math.floor((v?.g ?? 0) / SPREAD), Math.floor(g0 / SPREAD)) + 1
    const g = n * SPREAD + random
    const r = this.#id()
    this.write((data) => {
      data.v = { g, r, s: 0, b: 0, f: 0, h: false, names: new Map() }
      data.w = undefined
      data.log = []
    })
    return [bulk(g), bulk(0), time]
  }

  #read(keys: readonly string[], args: Command): Reply {
    this.#check(args[1])
    const v = this.#record()
    const { w, entries } = this.data
    const entry = entries.get(keyOf(keys[0] as string))
    let why = 'absent'
    if (entry !== undefined && this.now < entry.exp) {
      why = 'changed'
      const { g, s, ttl, grace, enc, tags, payload } = parse(entry.bytes)
      if (g === v.g && s >= v.f && s <= v.s) {
        const names = [text(args[0]), ...tags]
        const isChanged = (of: Generation) => names.some((name) => (of.names.get(name) ?? 0) > s)
        if (v.h && w?.g !== v.g) throw new Error('NOEPOCH there is no record')
        if (!isChanged(v) && !(v.h && w !== undefined && isChanged(w))) {
          const left = Math.floor(entry.exp - this.now)
          return [bulk(v.g), bulk(v.s), left, bulk(ttl), bulk(grace), enc, payload, ...tags.map(bulk)]
        }
      }
    }
    return [bulk(v.g), bulk(v.s), -2, bulk(why), Math.floor(this.now + SKEW)]
  }

  #change(keys: readonly string[], args: Command): Reply {
    if (!this.isMaster) throw new Error("READONLY You can't write against a read only replica.")
    this.#check(args[2])
    const v = this.#record()
    if (this.now < this.fullUntil) throw new Error('OOM command not allowed')
    const count = Number(text(args[4]))
    const names = args.slice(5, 5 + count).map(text)
    const compared = args.slice(5 + count).map(text)
    const { w } = this.data
    const last = compared.map((name) => Math.max(v.names.get(name) ?? 0, w?.names.get(name) ?? 0))
    const before = Math.max(v.f, ...last)
    const event = args[3] as Uint8Array
    const gone = keys.slice(3).map(keyOf)
    const removed = gone.filter((key) => this.data.entries.has(key)).length
    this.write((data) => {
      const of = data.v as Generation
      const s = ++of.s
      for (const name of names) {
        if (name === 'c') of.f = s
        else of.names.set(name, s)
      }
      for (const key of gone) data.entries.delete(key)
      data.log.push({ s, event })
      if (data.log.length > this.#most) data.log.shift()
      if (of.names.size > this.#limit) {
        data.w = of
        data.v = { g: of.g, r: of.r, s, b: s, f: Math.max(of.b, of.f), h: true, names: new Map() }
      }
    })
    const now = this.data.v as Generation
    return [bulk(now.g), bulk(now.s), removed, bulk(before), Math.floor(this.now + SKEW)]
  }

  #follow(args: Command): Reply {
    this.#check(args[3])
    const v = this.#record()
    const [g, s] = args.map((arg) => Number(text(arg))) as [number, number]
    if (v.g !== g || v.s <= s) return [bulk(v.g), bulk(v.s)]
    // A few at a time, so that more is to come often.
    const most = Math.min(Number(text(args[2])), 1_000)
    const events = this.data.log.filter((each) => each.s > s).slice(0, most)
    return [
      bulk(v.g),
      bulk(v.s),
      events.map((each) => [bulk(`${each.s}-0`), [bulk('e'), Buffer.from(each.event)]]),
    ]
  }
}
