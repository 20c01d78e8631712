import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const src = path.join(__dirname, '../../src')

/** The floors of the house: a folder knows only those below its own. */
const FLOORS: Record<string, number> = {
  common: 0,
  engine: 1,
  near: 2,
  serializer: 2,
  loading: 3,
  cache: 4,
  cleanup: 5,
  policy: 5,
  tier: 5,
  metrics: 6,
  rollout: 6,
  snapshot: 6,
}

/** The most lines of a file. */
const MOST_LINES = 300

/** Files that have more, and why. */
const LONG: Record<string, string> = {
  'cache/cache.ts': 'the face of the package: a line and its documentation for each method',
  'policy/policy-cache.ts': 'the face of decisions: a few lines and their documentation for each method',
  'near/native.ts': 'one class, for its fields are what every hit looks at',
}

interface Import {
  readonly from: string
  readonly to: string
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll(path.sep, '/'))
  .filter((file) => file.endsWith('.ts'))
const sources = new Map(files.map((file) => [file, readFileSync(path.join(src, file), 'utf8')]))

/** What the files of the package import of each other, types and `require` included. */
const imports: Import[] = [...sources].flatMap(([from, text]) =>
  [...text.matchAll(/(?:from|import|require\()\s*\(?'(\.[^']+)'/g)].map(([, to]) => ({
    from,
    to: path.posix.join(path.posix.dirname(from), (to as string).replace(/\.js$/, '.ts')),
  })),
)

const folderOf = (file: string) => file.split('/')[0] as string
const named = ({ from, to }: Import) => `${from} imports ${to}`

describe('the house of src', () => {
  it('is read as it is: there are imports, and each is of a file', () => {
    expect(imports.length).toBeGreaterThan(200)
    expect(imports.filter(({ to }) => !sources.has(to)).map(named)).toEqual([])
  })

  it('has a floor for each folder', () => {
    const folders = new Set(files.filter((file) => file.includes('/')).map(folderOf))
    expect([...folders].sort()).toEqual(Object.keys(FLOORS).sort())
  })

  it('imports downwards', () => {
    const upwards = imports.filter(({ from, to }) => {
      if (!from.includes('/') || folderOf(from) === folderOf(to)) return false
      return !((FLOORS[folderOf(to)] as number) < (FLOORS[folderOf(from)] as number))
    })
    expect(upwards.map(named)).toEqual([])
  })

  it('has no circle, of types neither', () => {
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (file: string, way: readonly string[]) => {
      const at = way.indexOf(file)
      if (at >= 0) circles.push([...way.slice(at), file].join(' → '))
      if (at >= 0 || done.has(file)) return
      for (const { from, to } of imports) if (from === file) visit(to, [...way, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
    expect(circles).toEqual([])
  })

  it('keeps its engines apart: one file knows both', () => {
    const inside = (file: string) => /^engine\/(native|fallback)\//.exec(file)?.[1]
    const crossing = imports.filter(({ from, to }) => {
      const [a, b] = [inside(from), inside(to)]
      return a !== undefined && b !== undefined && a !== b
    })
    expect(crossing.map(named)).toEqual([])
    const shared = files.filter((file) => {
      const known = imports.filter(({ from }) => from === file).map(({ to }) => inside(to))
      return known.includes('native') && known.includes('fallback')
    })
    expect(shared).toEqual(['engine/open.ts'])
  })

  it('has files of a size to read, but for those with a reason', () => {
    const lines = (file: string) => (sources.get(file) as string).trimEnd().split('\n').length
    const long = files.filter((file) => lines(file) > MOST_LINES)
    expect(long.sort()).toEqual(Object.keys(LONG).sort())
  })
})
