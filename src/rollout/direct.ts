import type { EngineSettings } from '../common/settings.js'
import { listen, unlisten } from '../loading/abort.js'
import { type LoadContext, tell } from '../loading/options.js'
import { type LoadRequest, subjectOf } from '../loading/request.js'
import { timedOut } from '../loading/time-budget.js'

/** What a load came to, and how it would be kept. */
export interface Direct<V> {
  readonly value: V
  readonly context: LoadContext<V>
}

/** Calls the function of a request as if there were no cache, with the same limits and checks. */
export async function loadDirectly<V>(
  request: LoadRequest<V>,
  settings: Pick<EngineSettings, 'ttl'>,
): Promise<Direct<V>> {
  const aborter = new AbortController()
  const context: LoadContext<V> = {
    signal: aborter.signal,
    stale: undefined,
    ttl: request.ttl ?? settings.ttl,
    tags: request.tags,
    store: true,
  }
  let value: V
  try {
    value = await limited(request, aborter, () => request.load(context))
    request.check?.(value, context)
  } catch (error) {
    // What its caller gave up has not failed.
    if (!request.signal?.aborted) request.onError?.()
    throw error
  }
  if (request.accepts?.(value) === false) throw request.refusal?.(value)
  tell(request.status, 'load')
  return { value, context }
}

/** Waits for what `run` returns, as long as the request allows. */
function limited<V>(
  request: LoadRequest<V>,
  aborter: AbortController,
  run: () => V | Promise<V>,
): Promise<V> {
  const { signal, timeout, hardTimeout } = request
  return new Promise<V>((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer)
      if (signal !== undefined) unlisten(signal, onAbort)
      settle()
    }
    const stop = (reason: unknown) => {
      end(() => reject(reason))
      aborter.abort(reason)
    }
    const onAbort = () => stop(signal?.reason)
    const option = timeout <= hardTimeout ? 'timeout' : 'hardTimeout'
    const ms = Math.min(timeout, hardTimeout)
    let timer: NodeJS.Timeout | undefined
    if (ms < 2 ** 31) timer = setTimeout(() => stop(timedOut(subjectOf(request), option, ms)), ms)
    // Somebody waits for the one, and the other is only there lest a load has no end.
    if (option === 'hardTimeout') timer?.unref?.()
    if (signal !== undefined) listen(signal, onAbort)
    new Promise<V>((begin) => begin(run())).then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}
