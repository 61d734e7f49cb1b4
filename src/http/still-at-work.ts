// A manager that forwarded a request can't tell a leader that works for long from one that is dead: the leader tells it.
import type { Exchange } from './routes.ts'

/** How often: three get lost before the other manager's limit of 30 s (`daemon/forward.ts`). Milliseconds. */
const TELL_MS = 8_000

/** Until the answer's head is out. Who knows no 102 (RFC 2518, 10.1), as no older manager does, passes it over. */
export const tellStillAtWork = ({
  response,
  clock,
}: Pick<Exchange, 'response' | 'clock'>): void => {
  let cancel = (): void => {}
  const tell = () => {
    if (response.headersSent || response.destroyed) return
    response.writeProcessing()
    cancel = clock.schedule(TELL_MS, tell)
  }
  cancel = clock.schedule(TELL_MS, tell)
  response.on('close', () => cancel())
}
