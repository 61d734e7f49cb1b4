/** `Name:\tvalue`; nothing for an empty value. */
export const line = (name: string, value: unknown, depth = 0): string[] =>
  value === undefined || value === null || value === ''
    ? []
    : [`${' '.repeat(depth)}${name}:\t${String(value)}`]

/** A head with lines below it; nothing when there are none. */
export const block = (name: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`${name}:`, ...lines]

/** ` - key=value`, in order. */
export const labelLines = (labels: Readonly<Record<string, string>> | null | undefined): string[] =>
  Object.entries(labels ?? {})
    .map(([key, value]) => ` - ${key}${value === '' ? '' : `=${value}`}`)
    .sort()

/** The first letter in upper case. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
