/** Requests that go on while something changes, each on a new connection, and what became of them. */
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const REQUEST_TIMEOUT_MS = 10_000
const CLIENTS = 4
const PAUSE_MS = 10

/** The test image's answer: who it was. */
export interface Answer {
  readonly version: string
  readonly host: string
}

/** One request; throws unless the answer is a 200. */
export const ask = (url: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.once('error', reject)
      response.once('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as Answer)
        else reject(new Error(`status ${response.statusCode}`))
      })
    })
    request.once('timeout', () => request.destroy(new Error('no answer')))
    request.once('error', reject)
  })

/** What the clients saw. */
export interface Counts {
  readonly ok: number
  readonly byVersion: ReadonlyMap<string, number>
  readonly failed: number
  /** Of the first request that failed. */
  readonly firstFailure: string | undefined
}

/** Asks all `urls` in turn until `change` has ended. */
export const countWhile = async (
  urls: readonly string[],
  change: () => Promise<unknown>,
): Promise<Counts> => {
  const byVersion = new Map<string, number>()
  let [ok, failed, isOver] = [0, 0, false]
  let firstFailure: string | undefined
  const client = async (first: number): Promise<void> => {
    for (let turn = first; !isOver; turn += 1) {
      const url = urls[turn % urls.length] as string
      try {
        const { version } = await ask(url)
        ok += 1
        byVersion.set(version, (byVersion.get(version) ?? 0) + 1)
      } catch (error) {
        failed += 1
        firstFailure ??= `${url}: ${(error as Error).message}`
      }
      await sleep(PAUSE_MS)
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, index) => client(index))
  try {
    await change()
  } finally {
    isOver = true
    await Promise.all(clients)
  }
  return { ok, byVersion, failed, firstFailure }
}
