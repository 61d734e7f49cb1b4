import { createHash } from 'node:crypto'

/** The data of a secret or config, in base64, as plans show it. */
export const digestText = (base64: string): string =>
  `sha256:${createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex')}`
