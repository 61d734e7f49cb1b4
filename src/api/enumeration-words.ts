/** Enumerations as clients of the Engine API write them, before a schema reads them. */

const CHOICES = [
  'Condition',
  'FailureAction',
  'Mode',
  'Order',
  'Propagation',
  'Protocol',
  'PublishMode',
  'Type',
] as const

/** A field of which one of a few words is chosen. */
export type Choice = (typeof CHOICES)[number]

export const isChoice = (key: string): boolean => (CHOICES as readonly string[]).includes(key)

type Entry = [key: string, value: unknown]

const changeEntries = (value: unknown, change: (entry: Entry) => Entry[]): unknown =>
  value === null || typeof value !== 'object' || Array.isArray(value)
    ? value
    : Object.fromEntries(Object.entries(value).flatMap(change))

/** A copy without the named keys whose value is `""`: Go clients send an empty string for an enumeration that was not chosen. */
export const withoutEmpty = (value: unknown, keys: readonly string[]): unknown =>
  changeEntries(value, (entry) => (entry[1] === '' && keys.includes(entry[0]) ? [] : [entry]))

/** A copy with the words at the named keys in lower case, for those that Docker takes in any case. */
export const inLowerCase = (value: unknown, keys: readonly string[]): unknown =>
  changeEntries(value, ([key, word]) => [
    [key, typeof word === 'string' && keys.includes(key) ? word.toLowerCase() : word],
  ])
