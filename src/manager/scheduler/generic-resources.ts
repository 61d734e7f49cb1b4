import type { GenericResource } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'

/** Generic resources by kind: a number of a discrete one, the names of a named one. */
export type GenericAmounts = Map<string, number | string[]>

/** What a node offers, as its Engine's `node-generic-resources` says. A kind is of one sort: with a name in it it is named. */
export const genericAmounts = (resources: readonly GenericResource[] = []): GenericAmounts => {
  const amounts: GenericAmounts = new Map()
  for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of resources) {
    const before = amounts.get((named ?? discrete)?.Kind ?? '')
    if (named) {
      const names = Array.isArray(before) ? before : []
      if (!names.includes(named.Value)) amounts.set(named.Kind, [...names, named.Value])
    } else if (discrete && !Array.isArray(before)) {
      amounts.set(discrete.Kind, (before ?? 0) + Math.max(0, discrete.Value))
    }
  }
  return amounts
}

/** Takes out of `free` what a task was given. What is no longer offered, or of the other sort now, takes nothing. */
export const takeGeneric = (free: GenericAmounts, given: readonly GenericResource[] = []): void => {
  for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of given) {
    const left = free.get((named ?? discrete)?.Kind ?? '')
    if (named && Array.isArray(left)) {
      free.set(
        named.Kind,
        left.filter((name) => name !== named.Value),
      )
    } else if (discrete && typeof left === 'number') {
      free.set(discrete.Kind, Math.max(0, left - discrete.Value))
    }
  }
}

/** Whether all that a task was given is in `offered`. */
export const offersGiven = (
  offered: GenericAmounts,
  given: readonly GenericResource[] = [],
): boolean =>
  given.every(({ NamedResourceSpec: named, DiscreteResourceSpec: discrete }) => {
    const amount = offered.get((named ?? discrete)?.Kind ?? '')
    return named
      ? Array.isArray(amount) && amount.includes(named.Value)
      : typeof amount === 'number' && amount >= (discrete?.Value ?? 0)
  })

/** Has this task asked for generic resources? Most have not. */
export const wantsGeneric = (task: Task): boolean => wantedBy(task).length > 0

const wantedBy = (task: Task): readonly GenericResource[] =>
  task.Spec.Resources?.Reservations?.GenericResources ?? []

/**
 * What the task gets of `free`, which stays as it is: a number of a discrete kind, as many names of a named one, and (other than in
 * Swarm, where nobody can ask for them) the very names that it asks for. Undefined when there is not enough.
 */
export const claimGeneric = (free: GenericAmounts, task: Task): GenericResource[] | undefined => {
  const left: GenericAmounts = new Map(free)
  const given: GenericResource[] = []
  const give = (resources: GenericResource[]): void => {
    given.push(...resources)
    takeGeneric(left, resources)
  }
  for (const { NamedResourceSpec: named } of wantedBy(task)) {
    if (named === undefined) continue
    const names = left.get(named.Kind)
    if (!Array.isArray(names) || !names.includes(named.Value)) return undefined
    give([{ NamedResourceSpec: named }])
  }
  for (const { DiscreteResourceSpec: discrete } of wantedBy(task)) {
    if (discrete === undefined || discrete.Value === 0) continue
    const { Kind, Value } = discrete
    const amount = left.get(Kind) ?? 0
    if ((Array.isArray(amount) ? amount.length : amount) < Value) return undefined
    give(
      Array.isArray(amount)
        ? amount.slice(0, Value).map((name) => ({ NamedResourceSpec: { Kind, Value: name } }))
        : [{ DiscreteResourceSpec: { Kind, Value } }],
    )
  }
  return given
}
