/** The sum over bytes with a reflected polynomial of 32 bits: finds accidents, not attacks. */
function sumBy(polynomial: number): (bytes: Uint8Array) => number {
  const table = Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit += 1)
      value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
    return value
  })
  return (bytes) => {
    let sum = -1
    // By index: an iterator takes four times as long, and at a start this goes over all of the state.
    for (let at = 0; at < bytes.length; at += 1)
      sum = (sum >>> 8) ^ (table[(sum ^ (bytes[at] ?? 0)) & 0xff] ?? 0)
    return ~sum >>> 0
  }
}

/** CRC-32 (IEEE 802.3), as zlib computes it. */
export const checksumOf = sumBy(0xedb88320)

/** CRC-32C (RFC 3720), as LevelDB computes it. */
export const castagnoliOf = sumBy(0x82f63b78)
