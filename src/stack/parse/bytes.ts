/** Powers of 1024 by their letter. */
const POWERS = new Map([
  ['k', 1],
  ['m', 2],
  ['g', 3],
  ['t', 4],
  ['p', 5],
])

/** The Engine's API has sizes as 64-bit integers. */
const BYTES_LIMIT = 2 ** 63

/** A memory size such as `512M`, `1.5gb` or `1GiB`, in bytes (powers of 1024, fractions cut). Thrown: an Error. */
export const parseBytes = (text: string): number => {
  const [, number, suffix = ''] = /^(.*[0-9.])\s?([a-zA-Z]{0,3})$/.exec(text) ?? []
  if (number === undefined || !/^[+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$/i.test(number)) {
    throw new Error(`invalid size: '${text}'; write it as 512M or 1g`)
  }
  const [, letter = '', rest] = /^([kmgtp]?)(|b|ib)$/.exec(suffix.toLowerCase()) ?? []
  if (rest === undefined || (letter === '' && rest === 'ib')) {
    throw new Error(`invalid size: '${text}': unknown unit '${suffix}'`)
  }
  const bytes = Math.trunc(Number(number) * 1024 ** (POWERS.get(letter) ?? 0))
  if (bytes >= BYTES_LIMIT) throw new Error(`invalid size: '${text}': too large`)
  return bytes
}
