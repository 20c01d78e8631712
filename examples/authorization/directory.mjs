/**
 * The users, groups and documents of the demo, the same in every thread. Who is in which group lies in
 * memory that all threads share: it is the truth that decisions are made from, and it changes.
 */

export const USERS = 1_200
export const DOCUMENTS = 400
const FOLDERS = 40

const DEPARTMENTS = ['engineering', 'finance', 'legal', 'people', 'sales', 'support']
const SENSITIVITIES = ['public', 'internal', 'internal', 'confidential', 'critical']
export const ACTIONS = ['read', 'read', 'read', 'write', 'comment', 'share', 'delete']

export const GROUPS = ['administrators']
for (let folder = 0; folder < FOLDERS; folder++) GROUPS.push(`readers-${folder}`, `writers-${folder}`)

/** A number that looks random and is always the same for one `seed` (splitmix32, G. Steele et al.). */
export function mix(seed) {
  let z = (seed + 0x9e3779b9) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) >>> 0
}

export class Directory {
  /**
   * A byte for each user and group: whether the one is in the other.
   *
   * @type {Uint8Array}
   */
  #members

  /** @param {SharedArrayBuffer} [shared] the memberships of another thread's directory */
  constructor(shared) {
    this.#members = new Uint8Array(shared ?? new SharedArrayBuffer(USERS * GROUPS.length))
    if (shared === undefined) this.#fill()
  }

  get shared() {
    return this.#members.buffer
  }

  #fill() {
    for (let user = 0; user < USERS; user++) {
      for (let group = 0; group < GROUPS.length; group++) {
        const oneIn = group === 0 ? 50 : 8
        this.#members[user * GROUPS.length + group] = mix(user * 131 + group) % oneIn === 0 ? 1 : 0
      }
    }
  }

  isMember(user, group) {
    return Atomics.load(this.#members, user * GROUPS.length + group) === 1
  }

  groupsOf(user) {
    return GROUPS.map((_, group) => group).filter((group) => this.isMember(user, group))
  }

  revoke(user, group) {
    this.setMember(user, group, false)
  }

  setMember(user, group, is) {
    Atomics.store(this.#members, user * GROUPS.length + group, is ? 1 : 0)
  }
}

const uid = (type, id) => ({ type, id: String(id) })
const reference = (type, id) => ({ __entity: uid(type, id) })

export function userId(user) {
  return `user-${user}`
}

export function documentId(document) {
  return `document-${document}`
}

export function sensitivityOf(document) {
  return SENSITIVITIES[mix(document * 17) % SENSITIVITIES.length]
}

/** The group whose members write in a document's folder. */
export function writersOf(document) {
  return GROUPS.indexOf(`writers-${document % FOLDERS}`)
}

/** The Cedar entities that a decision about this user and document can depend on. */
export function entitiesFor(directory, user, document) {
  const groups = directory.groupsOf(user)
  return [
    {
      uid: uid('User', userId(user)),
      attrs: {
        department: DEPARTMENTS[mix(user) % DEPARTMENTS.length],
        clearance: mix(user * 7) % 4,
        suspended: mix(user * 13) % 97 === 0,
      },
      parents: groups.map((group) => uid('Group', GROUPS[group])),
    },
    ...groups.map((group) => ({ uid: uid('Group', GROUPS[group]), attrs: {}, parents: [] })),
    {
      uid: uid('Document', documentId(document)),
      attrs: {
        owner: reference('User', userId(mix(document) % USERS)),
        department: DEPARTMENTS[mix(document * 3) % DEPARTMENTS.length],
        sensitivity: sensitivityOf(document),
        clearance: mix(document * 5) % 3,
        legalHold: mix(document * 11) % 10 === 0,
        readers: reference('Group', `readers-${document % FOLDERS}`),
        writers: reference('Group', `writers-${document % FOLDERS}`),
      },
      parents: [],
    },
  ]
}
