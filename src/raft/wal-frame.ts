// The sealed frame of the log. Layout, big-endian, starting on a sector:
//   magic 4 | sequence 8 | payload length 4 | nonce 12 | tag of the frame before 16 | tag 16 | payload
// The tag is AES-256-GCM's over everything before it and the payload: checksum, seal and chain in one.

import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { readU64, writeU64 } from './bytes.ts'

/** Frames start on a sector, so that a torn write never touches an acknowledged frame. */
export const SECTOR_BYTES = 512
export const FRAME_HEADER_BYTES = 60
export const TAG_BYTES = 16

const MAGIC = 0x53574631
const KEY_BYTES = 32
const SEQUENCE_OFFSET = 4
const LENGTH_OFFSET = 12
const NONCE_OFFSET = 16
const PREVIOUS_OFFSET = 28
const TAG_OFFSET = 44
const CIPHER = 'aes-256-gcm'

/** A frame that was read and is authentic. */
export interface Frame {
  readonly sequence: number
  readonly previousTag: Uint8Array
  readonly tag: Uint8Array
  readonly payload: Uint8Array
  /** With the padding up to the next sector. */
  readonly sizeBytes: number
}

/** A segment's own key: a recycled segment's old frames can't be mistaken for new ones. */
export function segmentKey(dataKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', dataKey, salt, 'swarmctl log segment 1', KEY_BYTES))
}

/** What a payload takes in a segment. */
export function frameSize(payloadBytes: number): number {
  return Math.ceil((FRAME_HEADER_BYTES + payloadBytes) / SECTOR_BYTES) * SECTOR_BYTES
}

/** What seals one frame. */
export interface FrameSeal {
  readonly nonce: Uint8Array
  readonly cipher: CipherGCM
}

/** Can be done before the payload is known. The nonce must stay as it is until the frame is sealed. */
export function prepareSeal(key: KeyObject, nonce: Uint8Array): FrameSeal {
  return { nonce, cipher: createCipheriv(CIPHER, key, nonce) }
}

/** Seals a payload into a frame, padded to whole sectors. */
export function sealFrame(
  { nonce, cipher }: FrameSeal,
  { sequence, previousTag }: { sequence: number; previousTag: Uint8Array },
  payload: Uint8Array,
): { bytes: Buffer; tag: Uint8Array } {
  const bytes = Buffer.alloc(frameSize(payload.length))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint32(0, MAGIC)
  writeU64(view, SEQUENCE_OFFSET, sequence)
  view.setUint32(LENGTH_OFFSET, payload.length)
  bytes.set(nonce, NONCE_OFFSET)
  bytes.set(previousTag, PREVIOUS_OFFSET)
  cipher.setAAD(bytes.subarray(0, TAG_OFFSET))
  bytes.set(cipher.update(payload), FRAME_HEADER_BYTES)
  cipher.final()
  const tag = cipher.getAuthTag()
  bytes.set(tag, TAG_OFFSET)
  return { bytes, tag }
}

/** Opens the frame at an offset; undefined when there is none that is whole and authentic. */
export function openFrame(key: Uint8Array, segment: Buffer, offset: number): Frame | undefined {
  if (offset + FRAME_HEADER_BYTES > segment.length) return undefined
  const header = segment.subarray(offset, offset + FRAME_HEADER_BYTES)
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  if (view.getUint32(0) !== MAGIC) return undefined
  const length = view.getUint32(LENGTH_OFFSET)
  const start = offset + FRAME_HEADER_BYTES
  if (start + length > segment.length) return undefined
  const nonce = header.subarray(NONCE_OFFSET, PREVIOUS_OFFSET)
  const tag = header.subarray(TAG_OFFSET, FRAME_HEADER_BYTES)
  const decipher = createDecipheriv(CIPHER, key, nonce)
  decipher.setAAD(header.subarray(0, TAG_OFFSET))
  decipher.setAuthTag(tag)
  const payload = decipher.update(segment.subarray(start, start + length))
  try {
    decipher.final()
  } catch {
    // Not authentic: the caller decides whether that is an unfinished end or damage.
    return undefined
  }
  return {
    sequence: readU64(view, SEQUENCE_OFFSET),
    previousTag: Uint8Array.from(header.subarray(PREVIOUS_OFFSET, TAG_OFFSET)),
    tag: Uint8Array.from(tag),
    payload,
    sizeBytes: frameSize(length),
  }
}
