import { hkdfSync } from 'node:crypto'
import { openBox, sealBox } from './sealed-box.ts'

const KEY_BYTES = 32

const keyFor = (dataKey: Uint8Array, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', dataKey, new Uint8Array(0), purpose, KEY_BYTES))

/** Seals a text with a key derived from the node's data key for one purpose: a box (sealed-box.ts). */
export const sealText = (dataKey: Uint8Array, purpose: string, text: string): string =>
  sealBox(keyFor(dataKey, purpose), Buffer.from(text))

/** Opens what `sealText` made; undefined when it is damaged or sealed with another key. */
export const openText = (dataKey: Uint8Array, purpose: string, box: string): string | undefined =>
  openBox(keyFor(dataKey, purpose), box)?.toString('utf8')
