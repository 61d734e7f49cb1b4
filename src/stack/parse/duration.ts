/** Nanoseconds in each unit of Go's duration format. */
const UNITS_NS = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])
const DURATION_NS_MAX = 2n ** 63n - 1n

/**
 * A duration as Go writes it (`1m30s`, `1.5h`, `-2s`, `0`), in nanoseconds. Thrown: an Error with the text in it. Above 104 days the
 * result is only as exact as a double.
 */
export const parseDuration = (text: string): number => {
  const [, sign, body = ''] = /^([-+]?)(.*)$/s.exec(text) ?? []
  if (body === '0') return 0
  if (!/^(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) {
    throw new Error(`invalid duration "${text}"; write it as 30s, 1m30s or 500ms`)
  }
  let totalNs = 0n
  for (const [, whole = '', fraction = '', unit = ''] of body.matchAll(PART)) {
    const unitNs = UNITS_NS.get(unit) ?? 0n
    totalNs += BigInt(whole || 0) * unitNs
    totalNs += (BigInt(fraction || 0) * unitNs) / 10n ** BigInt(fraction.length)
  }
  if (totalNs > DURATION_NS_MAX) throw new Error(`invalid duration "${text}": too long`)
  return Number(sign === '-' ? -totalNs : totalNs)
}

const PART = /([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)/g

/** Nanoseconds as Go prints a duration: `1m30s`, `1.5s`, `0s`. */
export const durationText = (ns: number): string => {
  const sign = ns < 0 ? '-' : ''
  const total = BigInt(Math.abs(ns))
  if (total === 0n) return '0s'
  for (const [unit, unitNs] of [
    ['ns', 1n],
    ['µs', 1_000n],
    ['ms', 1_000_000n],
  ] as const) {
    if (total < unitNs * 1_000n) return `${sign}${decimalText(total, unitNs)}${unit}`
  }
  const minuteNs = 60_000_000_000n
  const minutes = total / minuteNs
  const seconds = `${decimalText(total % minuteNs, 1_000_000_000n)}s`
  if (minutes === 0n) return sign + seconds
  return minutes < 60n
    ? `${sign}${minutes}m${seconds}`
    : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`
}

const decimalText = (value: bigint, unit: bigint): string => {
  const width = String(unit).length - 1
  const fraction = String(value % unit)
    .padStart(width, '0')
    .replace(/0+$/, '')
  return fraction === '' || width === 0 ? String(value / unit) : `${value / unit}.${fraction}`
}
