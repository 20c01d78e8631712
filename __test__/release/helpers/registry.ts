import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

interface Packument {
  name: string
  'dist-tags': Record<string, string>
  versions: Record<string, { dist: { tarball: string } }>
  _attachments?: Record<string, { data: string }>
}

/** A registry on this machine, for what `npm publish`, `view` and `install` ask of one. */
export interface Registry extends AsyncDisposable {
  readonly url: string
  /** The names that were published, in that order. */
  readonly published: readonly string[]
}

/** `withheld` says which packages it takes and does not hand out, as the public one does with what it takes for spam. */
export async function startRegistry(withheld = (_name: string) => false): Promise<Registry> {
  const packages = new Map<string, Packument>()
  const tarballs = new Map<string, Buffer>()
  const published: string[] = []
  let url = ''

  function publish(sent: Packument): void {
    for (const [file, { data }] of Object.entries(sent._attachments ?? {})) {
      tarballs.set(file, Buffer.from(data, 'base64'))
    }
    const tarball = Object.keys(sent._attachments ?? {})[0]
    for (const version of Object.values(sent.versions)) version.dist.tarball = `${url}-/${tarball}`
    const { _attachments, ...packument } = sent
    packages.set(sent.name, packument)
    published.push(sent.name)
  }

  async function answer(request: IncomingMessage): Promise<object | Buffer | undefined> {
    const path = decodeURIComponent((request.url ?? '').slice(1)).replace(/\?.*$/, '')
    if (request.method === 'PUT') {
      publish(JSON.parse((await buffer(request)).toString()))
      return { ok: true }
    }
    return path.startsWith('-/')
      ? tarballs.get(path.slice(2))
      : withheld(path)
        ? undefined
        : packages.get(path)
  }

  const server = createServer((request, response) => {
    answer(request).then(
      (found) => {
        response.statusCode = found === undefined ? 404 : 200
        if (Buffer.isBuffer(found)) response.end(found)
        else response.setHeader('content-type', 'application/json').end(JSON.stringify(found ?? {}))
      },
      () => response.writeHead(500).end(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    url,
    published,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
