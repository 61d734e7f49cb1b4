import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Ends a connection so that its other end can't take it for complete: with a reset where there is one. */
export const cutOff = (stream: Duplex): void => {
  if (stream instanceof Socket) stream.resetAndDestroy()
  else stream.destroy()
}

/** Ends a connection once what was written to it is on its way. */
const finish = (stream: Duplex): void => {
  if (stream.writableFinished) stream.destroy()
  else stream.once('finish', () => stream.destroy())
}

/**
 * Passes bytes both ways with backpressure. The end of one direction ends only that direction (half-close). When one side breaks, the
 * other one is cut off, unless it was told everything already. `onEnd` is called once when both are closed.
 */
export const joinStreams = (a: Duplex, b: Duplex, onEnd: () => void): void => {
  let closed = 0
  const watch = (one: Duplex, other: Duplex) => {
    // It closes next.
    one.on('error', () => {})
    one.on('close', () => {
      if (!one.readableEnded) cutOff(other)
      else if (!one.writableFinished || one.errored) finish(other)
      closed++
      if (closed === 2) onEnd()
    })
  }
  watch(a, b)
  watch(b, a)
  a.pipe(b)
  b.pipe(a)
}
