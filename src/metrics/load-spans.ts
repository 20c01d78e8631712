import type { Span, SpanStatusCode, Tracer } from '@opentelemetry/api'
import { type LoadMessage, subscribeLoads } from '../common/channels.js'
import { describe } from '../common/errors.js'

/** As `@opentelemetry/api` numbers it, of which nothing is loaded here. */
const FAILED = 2 as SpanStatusCode.ERROR

/** Makes a span of each load until the function that it returns is called. */
export function traceLoads(tracer: Tracer): () => void {
  const spans = new Map<LoadMessage, Span>()
  const end = (message: LoadMessage) => {
    spans.get(message)?.end()
    spans.delete(message)
  }
  const unsubscribe = subscribeLoads({
    start(message) {
      const { name, isRefresh } = message
      const attributes = {
        // A load is what a miss leads to; what it finds comes from where the values are made.
        'cache.hit': false,
        'cache.tier': 'origin',
        'cache.refresh': isRefresh,
        ...(name !== undefined && { 'cache.name': name }),
      }
      spans.set(message, tracer.startSpan('sark-cache load', { attributes }))
    },
    end() {},
    asyncStart() {},
    error(message) {
      const span = spans.get(message)
      const { error } = message
      span?.recordException(error instanceof Error ? error : describe(error))
      span?.setStatus({ code: FAILED })
    },
    asyncEnd: end,
  })
  return () => {
    unsubscribe()
    for (const message of spans.keys()) end(message)
  }
}
