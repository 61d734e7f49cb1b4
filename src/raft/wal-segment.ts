// One file of the log: a sector of header, then frames.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { readU64, writeU64 } from './bytes.ts'
import { StorageCorruptError, StorageKeyError, StorageVersionError } from './errors.ts'
import { openFrame, SECTOR_BYTES, segmentKey, TAG_BYTES } from './wal-frame.ts'

const MAGIC = 'SWARMWAL'
/** The version of the log's format: of segments, frames and records together. */
const VERSION = 1
const VERSION_OFFSET = 8
const NUMBER_OFFSET = 12
const SALT_OFFSET = 20
const SALT_BYTES = 32
const KEY_CHECK_OFFSET = SALT_OFFSET + SALT_BYTES
const CHECKSUM_OFFSET = KEY_CHECK_OFFSET + TAG_BYTES
const KEY_CHECK_NONCE = new Uint8Array(12)

const NAME = /^(\d{16})\.wal$/

/** The name of a segment in use; the number makes the order. */
export function segmentName(number: number): string {
  return `${String(number).padStart(16, '0')}.wal`
}

/** The number in a segment's name; undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** A header for a segment that is about to be used, and the key for its frames. */
export function createSegmentHeader(
  dataKey: Uint8Array,
  number: number,
): { header: Buffer; key: Uint8Array } {
  const header = Buffer.alloc(SECTOR_BYTES)
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  header.write(MAGIC, 0, 'latin1')
  view.setUint32(VERSION_OFFSET, VERSION)
  writeU64(view, NUMBER_OFFSET, number)
  const salt = randomBytes(SALT_BYTES)
  header.set(salt, SALT_OFFSET)
  const key = segmentKey(dataKey, salt)
  header.set(keyCheck(key), KEY_CHECK_OFFSET)
  view.setUint32(CHECKSUM_OFFSET, crc32(header.subarray(0, CHECKSUM_OFFSET)))
  return { header, key }
}

/** Checks a segment's header and returns the key of its frames. */
export function openSegmentHeader(dataKey: Uint8Array, number: number, bytes: Buffer): Uint8Array {
  const name = segmentName(number)
  if (bytes.length < SECTOR_BYTES) throw new StorageCorruptError(`${name} has no header`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new StorageCorruptError(`${name} is not a log segment`)
  }
  if (view.getUint32(CHECKSUM_OFFSET) !== crc32(bytes.subarray(0, CHECKSUM_OFFSET))) {
    throw new StorageCorruptError(`the header of ${name} is damaged`)
  }
  const version = view.getUint32(VERSION_OFFSET)
  if (version !== VERSION) {
    throw new StorageVersionError(`the log (${name})`, version, VERSION)
  }
  if (readU64(view, NUMBER_OFFSET) !== number) {
    throw new StorageCorruptError(`${name} holds another segment`)
  }
  const key = segmentKey(dataKey, bytes.subarray(SALT_OFFSET, KEY_CHECK_OFFSET))
  if (!keyMatches(key, bytes.subarray(KEY_CHECK_OFFSET, KEY_CHECK_OFFSET + TAG_BYTES))) {
    throw new StorageKeyError('the log')
  }
  return key
}

/** Whether an authentic frame starts on any sector from an offset on. */
export function hasFrameAfter(key: Uint8Array, segment: Buffer, offset: number): boolean {
  for (let at = offset; at < segment.length; at += SECTOR_BYTES) {
    if (openFrame(key, segment, at) !== undefined) return true
  }
  return false
}

function keyCheck(key: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, KEY_CHECK_NONCE)
  cipher.final()
  return cipher.getAuthTag()
}

function keyMatches(key: Uint8Array, tag: Uint8Array): boolean {
  const decipher = createDecipheriv('aes-256-gcm', key, KEY_CHECK_NONCE)
  decipher.setAuthTag(tag)
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}
