import type { Duplex } from 'node:stream'

/**
 * Passes bytes both ways with backpressure. The end of one direction ends only that direction (half-close); an error or an
 * early close of either side ends both. `onEnd` is called once when both are closed.
 */
export const joinStreams = (a: Duplex, b: Duplex, onEnd: () => void): void => {
  let closed = 0
  const watch = (one: Duplex, other: Duplex) => {
    one.on('error', () => other.destroy())
    one.on('close', () => {
      // Closed without an end: the other side must not wait for more.
      if (!one.readableEnded || one.errored) other.destroy()
      closed++
      if (closed === 2) onEnd()
    })
  }
  watch(a, b)
  watch(b, a)
  a.pipe(b)
  b.pipe(a)
}
