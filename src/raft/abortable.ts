import { WaitAbortedError } from './errors.ts'

interface Settle<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** A promise that a signal can end early, with WaitAbortedError; what was begun goes on. */
export function abortable<T>(
  signal: AbortSignal | undefined,
  begin: (settle: Settle<T>) => void,
): Promise<T> {
  if (signal === undefined) return new Promise((resolve, reject) => begin({ resolve, reject }))
  if (signal.aborted) return Promise.reject(new WaitAbortedError({ cause: signal.reason }))
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(new WaitAbortedError({ cause: signal.reason }))
    signal.addEventListener('abort', onAbort, { once: true })
    const settled =
      <V>(settle: (value: V) => void) =>
      (value: V) => {
        signal.removeEventListener('abort', onAbort)
        settle(value)
      }
    begin({ resolve: settled(resolve), reject: settled(reject) })
  })
}
