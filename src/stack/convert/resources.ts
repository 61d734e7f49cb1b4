import type { ResourceRequirements } from '../../api/service-spec.ts'
import type { DeployConfig, ServiceConfig } from '../config.ts'
import { parseCpus } from '../parse/cpus.ts'
import { present } from '../present.ts'
import { StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'

type Limits = NonNullable<ResourceRequirements['Limits']>
type Reservations = NonNullable<ResourceRequirements['Reservations']>

/**
 * `deploy.resources`, and the keys beside it that mean the same (`mem_limit`, `cpus` …). Thrown: a StackFileProblem in `place`, the service,
 * for two keys that say different things.
 */
export const convertResources = (service: ServiceConfig, place: Path): ResourceRequirements => {
  const { limits, reservations } = service.deploy?.resources ?? {}
  const { mem_limit, mem_reservation, memswap_limit, pids_limit } = service
  const ownCpus = service.cpus ? parseCpus(service.cpus) || undefined : undefined
  const limit = {
    ...(limits && { ...amounts(limits), ...(limits.pids && { Pids: limits.pids }) }),
  } as Limits
  const reserved = reservations && convertReservations(reservations)
  const both: Limits = present<Limits>({
    NanoCPUs: same(place, 'cpus', 'cpus', ownCpus, limit.NanoCPUs),
    MemoryBytes: same(place, 'mem_limit', 'memory', mem_limit || undefined, limit.MemoryBytes),
    Pids: same(place, 'pids_limit', 'pids', pids_limit || undefined, limit.Pids),
  })
  const memory = same(
    place,
    'mem_reservation',
    'memory',
    mem_reservation || undefined,
    reserved?.MemoryBytes,
  )
  return present<ResourceRequirements>({
    Limits: limits || Object.keys(both).length > 0 ? both : undefined,
    Reservations:
      reserved || memory !== undefined
        ? { ...reserved, ...(memory !== undefined && { MemoryBytes: memory }) }
        : undefined,
    SwapBytes: swapBytes(place, memswap_limit, both.MemoryBytes),
    MemorySwappiness: service.mem_swappiness,
  })
}

const same = (
  place: Path,
  key: string,
  name: string,
  own: number | undefined,
  deployed: number | undefined,
): number | undefined => {
  if (own === undefined || deployed === undefined || own === deployed) return own ?? deployed
  const text = `is not what deploy.resources says of ${name}; keep one of them`
  throw new StackFileProblem([...place, key], text)
}

/** Files say memory and swap together, the API swap alone; -1 is without limit in both. */
const swapBytes = (
  place: Path,
  total: number | undefined,
  memory: number | undefined,
): number | undefined => {
  if (total === undefined || total === 0) return undefined
  if (total === -1) return -1
  if (memory === undefined)
    throw new StackFileProblem([...place, 'memswap_limit'], 'needs mem_limit beside it')
  if (total < memory)
    throw new StackFileProblem(
      [...place, 'memswap_limit'],
      'is memory and swap: not less than mem_limit',
    )
  return total - memory
}

const convertReservations = (
  reservations: NonNullable<NonNullable<DeployConfig['resources']>['reservations']>,
): Reservations => ({
  ...amounts(reservations),
  ...(reservations.generic_resources && {
    GenericResources: reservations.generic_resources.map(({ discrete_resource_spec: spec }) =>
      spec === undefined ? {} : { DiscreteResourceSpec: { Kind: spec.kind, Value: spec.value } },
    ),
  }),
})

const amounts = ({ cpus, memory }: { cpus?: string; memory?: number }) =>
  present<{ NanoCPUs?: number; MemoryBytes?: number }>({
    NanoCPUs: cpus ? parseCpus(cpus) || undefined : undefined,
    MemoryBytes: memory || undefined,
  })
