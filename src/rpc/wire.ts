// The frame format, version 1. One WebSocket message is one frame:
//   byte 0      wire version
//   byte 1      kind; the high bit says that more chunks of the same message follow
//   bytes 2–7   id of the request or stream, big endian; 0 for notifies
//   bytes 8…    payload: a chunk of a MessagePack message, or the credit's 4 bytes
// A batch carries whole frames as its payload, each behind its length (4 bytes): what one turn of the event loop sends.
// The side that connected makes odd ids, the other even ones.
import assert from 'node:assert/strict'
import { SwarmctlError } from '../api/errors.ts'

/** The version of the frames that this code writes, and the only one that it reads. */
export const WIRE_VERSION = 1

/** The WebSocket subprotocol that names the version during the handshake. */
export const SUBPROTOCOL_PREFIX = 'swarmctl-rpc-'
export const SUBPROTOCOL = `${SUBPROTOCOL_PREFIX}${WIRE_VERSION}`
/** The same with batches. Who knows it offers both, and sends batches only when the other side chose this one. */
export const BATCH_SUBPROTOCOL = `${SUBPROTOCOL}-batch`

/** The HTTP path of the rpc endpoint. */
export const RPC_PATH = '/rpc'

export const HEADER_BYTES = 8
/** Payload of one frame: small enough that a heartbeat never waits behind much, large enough for a good rate. */
export const CHUNK_BYTES_MAX = 32 * 1024
export const FRAME_BYTES_MAX = HEADER_BYTES + CHUNK_BYTES_MAX

/** One encoded message. Above any raft append (1 MiB), secret set or forwarding table; what is larger goes through a stream. */
export const MESSAGE_BYTES_MAX = 32 * 1024 * 1024
/** All half-received messages of one connection together. */
export const ASSEMBLY_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
/** The same two for a peer without a certificate, that only may ask to join. */
export const ANONYMOUS_MESSAGE_BYTES_MAX = 64 * 1024

/** Requests that a peer may have open here, and that this side opens there. */
export const REQUESTS_MAX = 4096
/** Streams that each side of a connection may have open. The proxy's tunnel has one per client connection. */
export const STREAMS_MAX = 2048
export const ANONYMOUS_REQUESTS_MAX = 4

/** Bytes of a stream that may be under way or unread at its receiver. */
export const STREAM_WINDOW_BYTES = 256 * 1024
/** `send` waits while more than this is queued on a stream. */
export const STREAM_SEND_HIGH_WATER_BYTES = 256 * 1024
/** More than this, sent without waiting for `send`, breaks the stream. Must hold one message of any size. */
export const STREAM_SEND_BYTES_MAX = 2 * MESSAGE_BYTES_MAX
/** Unsent notifies; more are dropped, as a network drops (raft sends again). */
export const NOTIFY_QUEUE_BYTES_MAX = 16 * 1024 * 1024
/** Unsent bytes of requests and answers of one connection. */
export const REQUEST_QUEUE_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
/** Unsent answers to a peer without a certificate, which asks a few things and reads what it gets. */
export const ANONYMOUS_QUEUE_BYTES_MAX = 256 * 1024
/** Frames are handed to the socket while it holds less than this; the rest stays where it can be interleaved. */
export const SOCKET_HIGH_WATER_BYTES = 128 * 1024

/** Control frames (credits, refusals) that wait for a socket which takes nothing; more breaks the connection. */
export const CONTROL_FRAMES_MAX = 16_384

assert(
  STREAMS_MAX * CHUNK_BYTES_MAX < ASSEMBLY_BYTES_MAX,
  'every stream may have a chunk of an unfinished message here',
)
assert(STREAM_WINDOW_BYTES >= 2 * CHUNK_BYTES_MAX, 'a window holds more than one chunk')
assert(NOTIFY_QUEUE_BYTES_MAX <= MESSAGE_BYTES_MAX, 'a notify always fits into a message')

/** The kinds of frames. */
export const FRAME_KINDS = {
  request: 1,
  response: 2,
  failure: 3,
  cancel: 4,
  notify: 5,
  open: 6,
  data: 7,
  end: 8,
  abort: 9,
  credit: 10,
  batch: 11,
} as const

export type FrameKind = keyof typeof FRAME_KINDS

const KIND_OF_NUMBER = new Map<number, FrameKind>(
  Object.entries(FRAME_KINDS).map(([kind, number]) => [number, kind as FrameKind]),
)
const MORE = 0x80

/** One frame, taken apart. `payload` is a view of the received bytes. */
export interface Frame {
  kind: FrameKind
  more: boolean
  id: number
  payload: Buffer
}

/** The bytes of a frame; the payload is copied behind the header. */
export const encodeFrame = (frame: Omit<Frame, 'payload'>, payload: Uint8Array): Buffer => {
  assert(payload.length <= CHUNK_BYTES_MAX, 'a chunk fits into a frame')
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  bytes[0] = WIRE_VERSION
  bytes[1] = FRAME_KINDS[frame.kind] | (frame.more ? MORE : 0)
  bytes.writeUIntBE(frame.id, 2, 6)
  bytes.set(payload, HEADER_BYTES)
  return bytes
}

/** Bytes of the length before each frame of a batch. */
export const BATCH_LENGTH_BYTES = 4

/** Frames as one WebSocket message; together they fit into FRAME_BYTES_MAX. */
export const encodeBatch = (frames: readonly Buffer[]): Buffer => {
  let size = HEADER_BYTES
  for (const frame of frames) size += BATCH_LENGTH_BYTES + frame.length
  assert(size <= FRAME_BYTES_MAX, 'a batch fits into a frame')
  const bytes = Buffer.allocUnsafe(size)
  bytes[0] = WIRE_VERSION
  bytes[1] = FRAME_KINDS.batch
  bytes.writeUIntBE(0, 2, 6)
  let offset = HEADER_BYTES
  for (const frame of frames) {
    offset = bytes.writeUInt32BE(frame.length, offset)
    bytes.set(frame, offset)
    offset += frame.length
  }
  return bytes
}

/** The frames of a batch's payload. Throws INVALID_ARGUMENT for what is none. */
export const decodeBatch = (payload: Buffer): Frame[] => {
  const frames: Frame[] = []
  for (let offset = 0; offset < payload.length; ) {
    const start = offset + BATCH_LENGTH_BYTES
    const end = start > payload.length ? Number.NaN : start + payload.readUInt32BE(offset)
    if (!(end <= payload.length)) throw brokenBatch()
    const frame = decodeFrame(payload.subarray(start, end))
    if (frame.kind === 'batch') throw brokenBatch()
    frames.push(frame)
    offset = end
  }
  return frames
}

const brokenBatch = (): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', 'the peer sent a batch that is none')

/** One line for a peer whose frames or handshake have another version. */
export const versionMismatch = (peerVersion: string | number): string =>
  `the peer speaks rpc version ${peerVersion} and this node speaks version ${WIRE_VERSION}: run the same version of swarmctl on all nodes`

/** Takes a frame apart. Throws UNIMPLEMENTED for another wire version and INVALID_ARGUMENT for what is no frame. */
export const decodeFrame = (bytes: Buffer): Frame => {
  if (bytes.length < HEADER_BYTES) {
    throw new SwarmctlError('INVALID_ARGUMENT', 'the peer sent a frame without header')
  }
  if (bytes[0] !== WIRE_VERSION) {
    throw new SwarmctlError('UNIMPLEMENTED', versionMismatch(bytes[0]!))
  }
  const kind = KIND_OF_NUMBER.get(bytes[1]! & ~MORE)
  if (!kind) throw new SwarmctlError('INVALID_ARGUMENT', 'the peer sent a frame of unknown kind')
  return {
    kind,
    more: (bytes[1]! & MORE) !== 0,
    id: bytes.readUIntBE(2, 6),
    payload: bytes.subarray(HEADER_BYTES),
  }
}
