import type { ContainerExtension } from '../../api/container-extension.ts'
import type { ResourceRequirements } from '../../api/service-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import { memoryBytes, nanoCpus } from '../quantity.ts'
import type { Container } from '../schema/pod.ts'

type Path = readonly (string | number)[]
type Resource = 'cpu' | 'memory'

/** A quota below 1 ms in a period of 100 ms is none that the kernel takes; a kubelet takes this for less, too. */
const CPU_LIMIT_MIN_NANO = 10_000_000
/** An Engine refuses a container with less. */
const MEMORY_LIMIT_MIN_BYTES = 6 * 1024 * 1024
/** The least that the cluster's API has reserved. */
const RESERVATION_MIN = { cpu: 1_000_000, memory: 4 * 1024 * 1024 } as const

/** Vendors' GPUs, as the Engine's device requests. */
const GPU = /^(nvidia|amd)\.com\/gpu$/

/**
 * What a container may use and what is reserved for it: as in Kubernetes, what is limited and not requested is requested. Thrown:
 * ManifestProblem.
 */
export const convertResources = (
  { resources = {} }: Container,
  path: Path,
  note: (text: string) => void,
): ResourceRequirements => {
  const limits = amounts(resources.limits ?? {}, [...path, 'resources', 'limits'])
  const requests = amounts(resources.requests ?? {}, [...path, 'resources', 'requests'])
  if (limits.memory !== undefined && limits.memory > 0 && limits.memory < MEMORY_LIMIT_MIN_BYTES) {
    const place = [...path, 'resources', 'limits', 'memory']
    throw new ManifestProblem(place, 'must be at least 6Mi: an Engine takes no less')
  }
  for (const name of ['cpu', 'memory'] as const) {
    if ((requests[name] ?? 0) <= (limits[name] ?? Number.POSITIVE_INFINITY)) continue
    const place = [...path, 'resources', 'requests', name]
    throw new ManifestProblem(place, `must not be more than the limit`)
  }
  const reserved = (name: Resource): number | undefined => {
    const amount = requests[name] ?? limits[name]
    if (amount === undefined || amount === 0) return amount
    if (amount < RESERVATION_MIN[name] && requests[name] !== undefined) {
      const least = name === 'cpu' ? '1m' : '4Mi'
      note(`resources.requests.${name}: is taken for ${least}, the least that can be reserved`)
    }
    return Math.max(amount, RESERVATION_MIN[name])
  }
  const Limits = fields(limits.cpu && Math.max(limits.cpu, CPU_LIMIT_MIN_NANO), limits.memory)
  const Reservations = fields(reserved('cpu'), reserved('memory'))
  return {
    ...(Object.keys(Limits).length > 0 && { Limits }),
    ...(Object.keys(Reservations).length > 0 && { Reservations }),
  }
}

const fields = (cpu: number | undefined, memory: number | undefined) => ({
  ...(cpu !== undefined && { NanoCPUs: cpu }),
  ...(memory !== undefined && { MemoryBytes: memory }),
})

const amounts = (
  quantities: Readonly<Record<string, string | number>>,
  path: Path,
): { [K in Resource]?: number } => {
  const result: { [K in Resource]?: number } = {}
  for (const [name, quantity] of Object.entries(quantities)) {
    const place = [...path, name]
    if (GPU.test(name)) continue
    if (name !== 'cpu' && name !== 'memory') throw new ManifestProblem(place, 'is not supported')
    const amount = name === 'cpu' ? nanoCpus(quantity) : memoryBytes(quantity)
    if (amount === undefined) throw new ManifestProblem(place, `${quantity} is no quantity`)
    result[name] = amount
  }
  return result
}

/** GPUs that a container is limited to. Thrown: ManifestProblem. */
export const deviceRequests = (
  { resources }: Container,
  path: Path,
): ContainerExtension['DeviceRequests'] => {
  const requests = Object.entries(resources?.limits ?? {})
    .filter(([name]) => GPU.test(name))
    .map(([name, amount]) => {
      const Count = Number(amount)
      if (!Number.isInteger(Count) || Count < 1) {
        throw new ManifestProblem([...path, 'resources', 'limits', name], 'must be a whole number')
      }
      return { Driver: GPU.exec(name)?.[1] ?? '', Count, Capabilities: [['gpu']] }
    })
  const only = Object.keys(resources?.requests ?? {}).find(
    (name) => GPU.test(name) && resources?.limits?.[name] === undefined,
  )
  if (only !== undefined) {
    const text = 'is not supported: say it in limits'
    throw new ManifestProblem([...path, 'resources', 'requests', only], text)
  }
  return requests.length === 0 ? undefined : requests
}
