/** Whether a property somewhere in it is null. A body without one, as most are, needs no copy. */
const hasNull = (value: unknown): boolean => {
  if (value === null || typeof value !== 'object') return false
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value)
  return members.some((member) => (member === null ? !Array.isArray(value) : hasNull(member)))
}

const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== null)
      .map(([k, v]) => [k, withoutNulls(v)]),
  )
}

/** The value without `null` properties: Go clients send `null` for an empty slice, map or pointer. Array members stay. */
export const dropNulls = (value: unknown): unknown => (hasNull(value) ? withoutNulls(value) : value)
