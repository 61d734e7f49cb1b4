import type { ServiceSpec } from '../../api/service-spec.ts'

/** A part of a request as it was sent: nothing of it is checked yet. */
type Part = Readonly<Record<string, unknown>>

const asPart = (value: unknown): Part | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Part) : undefined

/**
 * What a client of Docker's API sends for a service, with the `Swarmctl` that is in force wherever the client sends none. Such a client reads
 * a spec, changes a field and sends it back without what it can't know: that is no wish to end it. `Swarmctl: {}` is one.
 * Clients may name a network where what is in force has its id.
 */
export const withKeptExtensions = (
  body: unknown,
  old: ServiceSpec,
  networkIdOf: (reference: string) => string,
): unknown => {
  const sent = asPart(body)
  if (sent === undefined) return body
  const attached = (networks: unknown) =>
    keptEach(networks, old.TaskTemplate.Networks, ({ Target }) => networkIdOf(String(Target)))
  return change(kept(sent, old), {
    TaskTemplate: (task) =>
      change(task, {
        ContainerSpec: (container) =>
          change(kept(container, old.TaskTemplate.ContainerSpec), {
            Mounts: (mounts) => keptEach(mounts, old.TaskTemplate.ContainerSpec?.Mounts, targetOf),
          }),
        Networks: attached,
      }),
    // Where old clients have them.
    Networks: attached,
    EndpointSpec: (endpoint) =>
      change(endpoint, { Ports: (ports) => keptEach(ports, old.EndpointSpec?.Ports, portOf) }),
  })
}

/** Changes the members of an object that are there. */
const change = (value: unknown, changes: Record<string, (member: unknown) => unknown>): unknown => {
  const part = asPart(value)
  if (part === undefined) return value
  const changed = Object.entries(changes)
    .filter(([key]) => (part[key] ?? undefined) !== undefined)
    .map(([key, run]) => [key, run(part[key])])
  return { ...part, ...Object.fromEntries(changed) }
}

const kept = (value: unknown, old: { Swarmctl?: unknown } | undefined): unknown => {
  const part = asPart(value)
  if (part === undefined || (part.Swarmctl ?? undefined) !== undefined) return value
  return old?.Swarmctl === undefined ? value : { ...part, Swarmctl: old.Swarmctl }
}

/** The same for members of a list, which are known by something that names them. */
const keptEach = (
  value: unknown,
  old: readonly object[] | undefined,
  nameOf: (member: Part) => string,
): unknown => {
  if (!Array.isArray(value) || old === undefined) return value
  // Several may have one name, as ports that differ in their host address alone: each stands for one.
  const byName = Map.groupBy(old, (member) => nameOf(member as Part))
  return value.map((member) => {
    const part = asPart(member)
    return part === undefined ? member : kept(part, byName.get(nameOf(part))?.shift())
  })
}

const targetOf = ({ Target }: Part): string => String(Target)

const portOf = ({ Protocol, TargetPort, PublishedPort, PublishMode }: Part): string =>
  // Nothing of a request is normalised yet: its words may be in any case.
  `${PublishMode || 'ingress'} ${PublishedPort || 0}:${TargetPort}/${Protocol || 'tcp'}`.toLowerCase()
