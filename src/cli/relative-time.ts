const UNITS: readonly [name: string, seconds: number, from: number][] = [
  ['second', 1, 1],
  ['minute', 60, 60],
  ['hour', 3600, 3600],
  ['day', 86_400, 48 * 3600],
  ['week', 604_800, 14 * 86_400],
  ['month', 2_592_000, 60 * 86_400],
  ['year', 31_536_000, 2 * 31_536_000],
]

/** How long ago, in Docker's words: `Less than a second ago`, `About a minute ago`, `3 hours ago`. */
export const ago = (then: string, nowMs: number): string => {
  const seconds = Math.floor((nowMs - Date.parse(then)) / 1000)
  if (!Number.isFinite(seconds)) return ''
  if (seconds < 1) return 'Less than a second ago'
  const [name, size] = UNITS.findLast(([, , from]) => seconds >= from) as [string, number, number]
  const count = Math.floor(seconds / size)
  if (count === 1 && (name === 'minute' || name === 'hour')) {
    return `About ${name === 'hour' ? 'an' : 'a'} ${name} ago`
  }
  return `${count} ${name}${count === 1 ? '' : 's'} ago`
}
