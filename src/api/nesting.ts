/**
 * How deep lists and objects from outside may be within each other; Docker's deepest spec has about ten levels. What is thousands of levels deep ends
 * whatever goes through it by a stack overflow, the managers' loops among it.
 */
export const NESTING_MAX = 100

/** Whether lists and objects in it are nested deeper than `levels`. */
export const isTooDeep = (value: unknown, levels = NESTING_MAX): boolean => {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value)
  return members.some((member) => isTooDeep(member, levels - 1))
}
