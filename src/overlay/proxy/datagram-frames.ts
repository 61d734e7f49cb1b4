/** Datagrams in a byte stream: two bytes of length, big endian, then the payload. */

/** Largest UDP payload over IPv4 (65535 − 20 − 8) is below what two bytes hold. */
export const LENGTH_BYTES = 2

export const frameDatagram = (datagram: Buffer): Buffer => frameDatagrams([datagram])

/** Several, in their order. */
export const frameDatagrams = (datagrams: readonly Buffer[]): Buffer => {
  const bytes = datagrams.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0)
  const framed = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const datagram of datagrams) {
    at = framed.writeUInt16BE(datagram.length, at)
    at += datagram.copy(framed, at)
  }
  return framed
}

/** Cuts a stream's chunks into datagrams again; holds less than one datagram between chunks. */
export class DatagramReader {
  #rest: Buffer = Buffer.alloc(0)

  /** The datagrams that this chunk completes. */
  read(chunk: Buffer): Buffer[] {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const datagrams: Buffer[] = []
    while (data.length >= LENGTH_BYTES) {
      const end = data.readUInt16BE(0) + LENGTH_BYTES
      if (data.length < end) break
      datagrams.push(data.subarray(LENGTH_BYTES, end))
      data = data.subarray(end)
    }
    this.#rest = Buffer.from(data)
    return datagrams
  }
}
