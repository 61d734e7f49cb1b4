import type { LogMessage } from '../../api/assignment.ts'
import { LOG_LINE_BYTES_MAX } from '../limits.ts'

/** A piece of a container's output: a frame of the multiplexed stream, or a chunk of a terminal's. */
interface Piece {
  stream: 'stdout' | 'stderr'
  data: Buffer
}

const HEADER_BYTES = 8

/** Cuts the Engine's multiplexed stream into frames: [1|2, 0, 0, 0, length as u32 BE] and the data. */
async function* frames(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let buffer: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    buffer = buffer.length === 0 ? Buffer.from(chunk) : Buffer.concat([buffer, chunk])
    while (buffer.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + buffer.readUInt32BE(4)
      if (buffer.length < end) break
      yield {
        stream: buffer[0] === 2 ? 'stderr' : 'stdout',
        data: buffer.subarray(HEADER_BYTES, end),
      }
      buffer = buffer.subarray(end)
    }
  }
}

/** A terminal's output is not framed; here it is cut into lines, which is what a frame holds otherwise. */
async function* terminalLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield { stream: 'stdout', data: rest.subarray(0, end + 1) }
      rest = rest.subarray(end + 1)
    }
    if (rest.length > LOG_LINE_BYTES_MAX) {
      yield { stream: 'stdout', data: rest }
      rest = Buffer.alloc(0)
    }
  }
  if (rest.length > 0) yield { stream: 'stdout', data: rest }
}

const TIMESTAMP = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) /

/** The Engine writes the time before each piece (`timestamps=1`), also before the further parts of a long line. */
const splitTimestamp = (data: Buffer): { timestamp: string; text: Buffer } => {
  const match = TIMESTAMP.exec(data.subarray(0, 64).toString('latin1'))
  return match === null
    ? { timestamp: '', text: data }
    : { timestamp: match[1] ?? '', text: data.subarray(match[0].length) }
}

/** A line of which there may be more. */
interface OpenLine {
  timestamp: string
  details: string
  parts: Buffer[]
  bytes: number
}

const messageOf = (
  stream: Piece['stream'],
  { timestamp, details, parts }: OpenLine,
): LogMessage => ({
  timestamp,
  stream,
  data: new Uint8Array(Buffer.concat(parts)),
  ...(details !== '' && { details }),
})

/** With `details=1` each piece has those after its time, and a space also when there are none. */
const splitDetails = (data: Buffer): { details: string; text: Buffer } => {
  const end = data.indexOf(32)
  return { details: data.subarray(0, end).toString('latin1'), text: data.subarray(end + 1) }
}

/**
 * The lines of a container's log, from the answer of `GET /containers/…/logs?timestamps=1`. Lines that the Engine stored in parts
 * (over 16 KiB) are put together again, with the time and details of their beginning.
 */
export async function* logMessages(
  stream: AsyncIterable<Uint8Array>,
  isTerminal: boolean,
  hasDetails = false,
): AsyncGenerator<LogMessage> {
  const open = new Map<Piece['stream'], OpenLine>()
  for await (const piece of isTerminal ? terminalLines(stream) : frames(stream)) {
    const { timestamp, text: rest } = splitTimestamp(piece.data)
    const { details, text } = hasDetails ? splitDetails(rest) : { details: '', text: rest }
    const line = open.get(piece.stream) ?? { timestamp, details, parts: [], bytes: 0 }
    line.parts.push(text)
    line.bytes += text.length
    const isWhole = text.at(-1) === 10 || line.bytes > LOG_LINE_BYTES_MAX
    if (!isWhole) {
      open.set(piece.stream, line)
      continue
    }
    open.delete(piece.stream)
    yield messageOf(piece.stream, line)
  }
  for (const [name, line] of open) {
    yield messageOf(name, { ...line, parts: [...line.parts, Buffer.from('\n')] })
  }
}
