const NANO = 1_000_000_000n

/** CPUs as a decimal (`0.5`, `1e-1`) or a fraction (`1/2`), in 1e-9 of a core. Thrown: an Error. */
export const parseCpus = (text: string): number => {
  const [numerator = '', denominator = '1', ...more] = text.split('/')
  const above = decimal(numerator)
  const below = decimal(denominator)
  if (above === null || below === null || below.digits === 0n || more.length > 0) {
    throw new Error(`failed to parse ${text} as a rational number`)
  }
  const exponent = above.exponent - below.exponent
  const scaled = above.digits * NANO * 10n ** BigInt(Math.max(exponent, 0))
  const divisor = below.digits * 10n ** BigInt(Math.max(-exponent, 0))
  if (scaled % divisor !== 0n) throw new Error(`${text} CPUs: value is too precise`)
  return Number(scaled / divisor)
}

/** Exponents beyond this make no sense for CPUs and would make huge integers. */
const EXPONENT_MAX = 18

const decimal = (text: string): { digits: bigint; exponent: number } | null => {
  const match = /^([-+]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?$/.exec(text)
  if (match === null) return null
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  if (whole + fraction === '' || Math.abs(Number(exponent)) > EXPONENT_MAX) return null
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n)
  return { digits, exponent: Number(exponent) - fraction.length }
}
