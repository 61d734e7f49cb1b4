const UNITS: readonly [name: string, seconds: number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
]

/** A length of time in at most two units: `3m12s`, `2d4h`. */
export const span = (ms: number): string => {
  let rest = Math.max(0, Math.floor(ms / 1000))
  const at = UNITS.findIndex(([, seconds]) => rest >= seconds)
  if (at < 0) return '0s'
  let text = ''
  for (const [name, seconds] of UNITS.slice(at, at + 2)) {
    const count = Math.floor(rest / seconds)
    rest -= count * seconds
    if (count > 0) text += `${count}${name}`
  }
  return text
}
