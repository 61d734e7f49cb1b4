import type { Resolver } from '../api/attachment-record.ts'
import type { Task } from '../api/task.ts'

/** The task as the overlay is to see it: with what the user wants names to be asked from. */
export const withResolver = (task: Task, resolver: Resolver | undefined): Task => {
  if (resolver === undefined) return task
  const { nameservers, options, search } = resolver
  const DNSConfig = { Nameservers: nameservers, Options: options, Search: search }
  return { ...task, Spec: { ...task.Spec, ContainerSpec: { Image: '', DNSConfig } } }
}
