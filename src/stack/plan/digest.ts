import { createHash, createHmac } from 'node:crypto'

/** The data of a secret or config, in base64, as the API tells it. Never printed for a secret: a short one could be guessed from it. */
export const digestText = (base64: string): string =>
  `sha256:${createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex')}`

/** Bytes of the key that `secretText` takes. */
export const SECRET_KEY_BYTES = 32

/** Hex digits that are enough to tell the secrets of one plan apart. */
const SECRET_LENGTH = 12

/**
 * A secret's data, in base64, as one plan prints it: plans end up in logs. `key` is random, made for this plan and forgotten with it, so that equal and
 * different data can be told within the plan, and nobody can try passwords against it afterwards.
 */
export const secretText = (base64: string, key: Uint8Array): string => {
  const hash = createHmac('sha256', key).update(Buffer.from(base64, 'base64')).digest('hex')
  return `hmac:${hash.slice(0, SECRET_LENGTH)}`
}
