import type { Option } from 'commander'
import { FlagError } from './flag-error.ts'
import { csvFields, splitPair } from './service/key-values.ts'

/** Collects a flag that may be given several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value]

/** Collects a flag that may be given several times, or with several values between commas, as Docker's flags for files are. */
export const collectListed = (value: string, previous: string[] = []): string[] => [
  ...previous,
  // An empty one has no value in it, as pflag's `StringSlice` reads it.
  ...(value === '' ? [] : csvFields(value)),
]

/** Words of a flag that takes them in any case, as Docker's enumerations of nodes. */
export const anyCaseChoices = (option: Option, words: readonly string[]): Option => {
  const { parseArg } = option.choices(words)
  return option.argParser((word, previous) => parseArg?.(word.toLowerCase(), previous))
}

/** `key=value` flags as a map; without `=` the value is empty, as in Docker. */
export const parseLabels = (flags: readonly string[] | undefined): Record<string, string> =>
  Object.fromEntries((flags ?? []).map(splitPair))

/** API filters: values of a key are alternatives. */
export type FilterMap = Record<string, Record<string, true>>

/** `--filter key=value` flags as the API's filters, on top of those that the command itself sets. */
export const parseFilterFlags = (
  flags: readonly string[] | undefined,
  own: FilterMap = {},
): string | undefined => {
  const filters = { ...own }
  for (const flag of flags ?? []) {
    const at = flag.indexOf('=')
    if (at <= 0) {
      throw new FlagError(`invalid --filter "${flag}": expected key=value`)
    }
    const key = flag.slice(0, at).trim().toLowerCase()
    filters[key] = { ...filters[key], [flag.slice(at + 1)]: true }
  }
  return Object.keys(filters).length === 0 ? undefined : JSON.stringify(filters)
}
