import { SwarmctlError } from '../api/errors.ts'

/** Collects a flag that may be given several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value]

/** `key=value` flags as a map; without `=` the value is empty, as in Docker. */
export const parseLabels = (flags: readonly string[] | undefined): Record<string, string> =>
  Object.fromEntries(
    (flags ?? []).map((flag) => {
      const at = flag.indexOf('=')
      return at < 0 ? [flag, ''] : [flag.slice(0, at), flag.slice(at + 1)]
    }),
  )

/** `--filter key=value` flags as the API's filters. */
export const parseFilterFlags = (flags: readonly string[] | undefined): string | undefined => {
  if (!flags || flags.length === 0) return undefined
  const filters: Record<string, Record<string, boolean>> = {}
  for (const flag of flags) {
    const at = flag.indexOf('=')
    if (at <= 0) {
      throw new SwarmctlError('INVALID_ARGUMENT', `invalid --filter "${flag}": expected key=value`)
    }
    const key = flag.slice(0, at).trim().toLowerCase()
    filters[key] = { ...filters[key], [flag.slice(at + 1)]: true }
  }
  return JSON.stringify(filters)
}
