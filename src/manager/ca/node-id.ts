import { createHash } from 'node:crypto'

const ID_CHARACTERS = 25

/**
 * The id of the node that joins with this key (base64 DER of the public key): 25 characters of base 36, as every id. Made of
 * the key, so that a join that is tried again, at whichever leader, is the same node.
 */
export const nodeIdOfKey = (publicKeyId: string): string => {
  const hash = createHash('sha256').update(publicKeyId).digest('hex')
  const id = BigInt(`0x${hash}`) % 36n ** BigInt(ID_CHARACTERS)
  return id.toString(36).padStart(ID_CHARACTERS, '0')
}
