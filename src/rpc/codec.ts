import { Packr } from 'msgpackr'
import { isErrorCode, SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import { MESSAGE_BYTES_MAX } from './wire.ts'

// Plain maps: msgpackr's records would be a state that both ends share, which a dropped notify would break.
const packr = new Packr({ useRecords: false, structuredClone: false, moreTypes: false })

/** The MessagePack bytes of a message. Throws INVALID_ARGUMENT when it can't be encoded or is too large. */
export const encodeMessage = (message: unknown): Buffer => {
  let bytes: Buffer
  try {
    bytes = packr.pack(message)
  } catch (cause) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      `this message can't be sent: ${(cause as Error).message}`,
      { cause },
    )
  }
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      `a message of ${bytes.length} bytes is too large to be sent (limit ${MESSAGE_BYTES_MAX})`,
    )
  }
  return bytes
}

/** The message in these bytes. Throws INVALID_ARGUMENT. */
export const decodeMessage = (bytes: Uint8Array): unknown => {
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new SwarmctlError('INVALID_ARGUMENT', 'the peer sent a message that is no MessagePack', {
      cause,
    })
  }
}

/** A call as it crosses the wire. */
export interface Call {
  method: string
  body: unknown
}

/** The bytes of a request, notify or opened stream. */
export const encodeCall = (call: Call): Buffer => encodeMessage([call.method, call.body])

/** Throws INVALID_ARGUMENT. */
export const decodeCall = (bytes: Uint8Array): Call => {
  const value = decodeMessage(bytes)
  if (Array.isArray(value) && typeof value[0] === 'string')
    return { method: value[0], body: value[1] }
  throw new SwarmctlError('INVALID_ARGUMENT', 'the peer sent a call without method')
}

/** The bytes of an error: code and message, nothing else leaves the process. */
export const encodeError = (thrown: unknown): Buffer => {
  const { code, message } = toSwarmctlError(thrown)
  return encodeMessage({ code, message: message.slice(0, ERROR_CHARACTERS_MAX) })
}

const ERROR_CHARACTERS_MAX = 4096

/** The error in these bytes, or in a refused handshake's JSON; an unknown code becomes INTERNAL. */
export const errorFrom = (value: unknown): SwarmctlError => {
  const { code, message } = (value ?? {}) as { code?: unknown; message?: unknown }
  return new SwarmctlError(
    isErrorCode(code) ? code : 'INTERNAL',
    typeof message === 'string' ? message : 'the peer reported an error without message',
  )
}
