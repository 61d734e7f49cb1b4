import type { Readable } from 'node:stream'

/** One frame of the Engine's multiplexed stream. */
export interface LogFrame {
  stream: 'stdout' | 'stderr' | 'system'
  line: Buffer
}

const HEAD_BYTES = 8
/** A frame is one line; Docker cuts lines at 16 KiB, a longer announced length means a broken stream. */
const FRAME_BYTES_MAX = 16 << 20

/** Splits the stream into its frames. Throws when it is not such a stream. */
export async function* logFrames(source: Readable): AsyncGenerator<LogFrame> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of source as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= HEAD_BYTES) {
      const length = rest.readUInt32BE(4)
      if (length > FRAME_BYTES_MAX) throw new Error('the log stream is broken')
      if (rest.length < HEAD_BYTES + length) break
      const stream = rest[0] === 3 ? 'system' : rest[0] === 2 ? 'stderr' : 'stdout'
      yield { stream, line: rest.subarray(HEAD_BYTES, HEAD_BYTES + length) }
      rest = rest.subarray(HEAD_BYTES + length)
    }
  }
}
