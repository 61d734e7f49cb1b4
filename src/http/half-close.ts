// A client may end its sending half and read on (`nc -N`, `socat`). One that went away looks the same until something is written to it,
// so that who has nothing to write must end for both, as Go's servers cancel a request's context for both.
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'

/** How long the Engine may be silent to a client that may have gone: one that hangs must not gather connections. Milliseconds. */
export const HALF_CLOSED_SILENCE_MAX_MS = 60_000

/** Calls `then` when the client ends its sending half, or has ended it, before its answer is through. */
export const onHalfClose = (
  { socket }: IncomingMessage,
  response: ServerResponse,
  then: () => void,
): void => {
  if (socket.readableEnded) return then()
  socket.once('end', then)
  response.once('close', () => socket.off('end', then))
}

/** The Engine is to see what the client did: it ends streams and what waits, and answers all else. */
export const passHalfClose = (
  request: IncomingMessage,
  response: ServerResponse,
  upstream: ClientRequest,
  silenceMaxMs = HALF_CLOSED_SILENCE_MAX_MS,
): void =>
  onHalfClose(request, response, () => {
    upstream.setTimeout(silenceMaxMs, () => upstream.destroy(new Error('the client went away')))
    const endHalf = () => upstream.socket?.end()
    if (upstream.writableFinished) endHalf()
    else upstream.once('finish', endHalf)
  })
