import { expect, it, vi } from 'vitest'
import { deadlines } from '../../src/tier/deadlines.js'

it('come once, in their order, but for those that were ended', async () => {
  const came: number[] = []
  const start = (ms: number) => deadlines.start(ms, () => came.push(ms))
  const all = [40, 5, 80, 5, 1_050].map(start)
  const ends = [60, 1_100].map(start)
  for (const end of ends) end()
  await vi.waitFor(() => expect(came).toEqual([5, 5, 40, 80, 1_050]), { timeout: 10_000 })
  // To end one that has come does nothing.
  for (const end of [...all, ...ends]) end()
  const again = vi.fn()
  deadlines.start(20, again)
  await vi.waitFor(() => expect(again).toHaveBeenCalledTimes(1))
})

it('may be ended by one that comes at the same time', async () => {
  const second = vi.fn()
  let end = () => {}
  const first = vi.fn(() => end())
  deadlines.start(20, first)
  end = deadlines.start(20, second)
  await vi.waitFor(() => expect(first).toHaveBeenCalledTimes(1))
  await new Promise((resolve) => setTimeout(resolve, 50))
  // They may have come to lie in two ticks, where the end comes in time as well.
  expect(second).not.toHaveBeenCalled()
})

it('let the sockets be read before they come', async () => {
  const order: string[] = []
  deadlines.start(10, () => order.push('deadline'))
  const held = performance.now() + 100
  while (performance.now() < held);
  setImmediate(() => order.push('what was there'))
  await vi.waitFor(() => expect(order).toEqual(['what was there', 'deadline']))
})
