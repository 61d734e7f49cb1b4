import type {
  BlkioConfig,
  DeviceRate,
  DeviceRequestConfig,
  EngineConfig,
} from '../engine-config.ts'
import { parseBytes } from '../parse/bytes.ts'
import { parseDevice, parseDeviceCount } from '../parse/device.ts'
import { parseDuration } from '../parse/duration.ts'
import { present } from '../present.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { isMap, pathText } from '../value.ts'
import { Fields } from './fields.ts'
import type { ReadContext } from './read-context.ts'

/** What of a service an Engine has and Swarm's bodies mostly don't. Thrown: StackFileProblem. */
export const readEngine = (service: Fields, context: ReadContext): EngineConfig => ({
  ...readLimits(service),
  ...present<EngineConfig>({
    annotations: service.labels('annotations'),
    blkio_config: readBlkio(service.fields('blkio_config')),
    cgroup: service.text('cgroup') ?? namespace(service, 'cgroupns_mode', CGROUP_MODES, context),
    cgroup_parent: service.text('cgroup_parent') || undefined,
    device_cgroup_rules: service.texts('device_cgroup_rules'),
    devices: readDevices(service),
    domainname: service.text('domainname') || undefined,
    gpus: readGpus(service),
    ipc: namespace(service, 'ipc', IPC_MODES, context),
    oom_kill_disable: service.flag('oom_kill_disable'),
    pid: namespace(service, 'pid', HOST_ONLY, context),
    privileged: service.flag('privileged'),
    runtime: service.text('runtime') || undefined,
    security_opt: service.texts('security_opt'),
    shm_size: service.parsed('shm_size', parseBytes),
    storage_opt: service.options('storage_opt'),
    tmpfs: service.texts('tmpfs'),
    ulimits: readUlimits(service),
    userns_mode: namespace(service, 'userns_mode', HOST_ONLY, context),
    uts: namespace(service, 'uts', HOST_ONLY, context),
  }),
})

const CGROUP_MODES = ['host', 'private'] as const
const IPC_MODES = ['none', 'private', 'shareable', 'host'] as const
const HOST_ONLY = ['host'] as const

/** A namespace of the container: another container's can't be joined, since each is placed for itself. */
const namespace = (
  service: Fields,
  key: string,
  modes: readonly string[],
  { note }: ReadContext,
): string | undefined => {
  const mode = service.text(key) || undefined
  if (mode === undefined || modes.includes(mode)) return mode
  const place = pathText(service.at(key))
  note(`${place}: ${mode} is ignored: a cluster knows ${modes.join(', ')} only`)
  return undefined
}

const readLimits = (service: Fields): EngineConfig =>
  present<EngineConfig>({
    cpu_count: service.count('cpu_count'),
    cpu_percent: service.number('cpu_percent'),
    cpu_period: service.number('cpu_period'),
    cpu_quota: service.number('cpu_quota'),
    cpu_rt_period: service.parsed('cpu_rt_period', microseconds),
    cpu_rt_runtime: service.parsed('cpu_rt_runtime', microseconds),
    cpu_shares: service.number('cpu_shares'),
    cpus: service.scalar('cpus'),
    cpuset: service.text('cpuset') || undefined,
    mem_limit: service.parsed('mem_limit', parseBytes),
    mem_reservation: service.parsed('mem_reservation', parseBytes),
    mem_swappiness: service.number('mem_swappiness'),
    memswap_limit: service.parsed('memswap_limit', (text) =>
      text === '-1' ? -1 : parseBytes(text),
    ),
    pids_limit: service.number('pids_limit'),
  })

const NS_PER_MICROSECOND = 1000

/** A number of them, or a duration. */
const microseconds = (text: string): number =>
  /^[0-9]+$/.test(text) ? Number(text) : Math.trunc(parseDuration(text) / NS_PER_MICROSECOND)

const readBlkio = (blkio: Fields | undefined): BlkioConfig | undefined =>
  blkio &&
  present<BlkioConfig>({
    weight: blkio.count('weight'),
    weight_device: blkio.records('weight_device')?.map((device) => ({
      path: device.text('path') ?? '',
      weight: device.count('weight') ?? 0,
    })),
    device_read_bps: readRates(blkio, 'device_read_bps'),
    device_write_bps: readRates(blkio, 'device_write_bps'),
    device_read_iops: readRates(blkio, 'device_read_iops'),
    device_write_iops: readRates(blkio, 'device_write_iops'),
  })

const readRates = (blkio: Fields, key: string): DeviceRate[] | undefined =>
  blkio.records(key)?.map((device) => ({
    path: device.text('path') ?? '',
    rate: device.parsed('rate', parseBytes) ?? 0,
  }))

const readDevices = (service: Fields): EngineConfig['devices'] =>
  service.list('devices')?.map((item, index) => {
    const place = [...service.at('devices'), index]
    if (!isMap(item)) return at(place, () => parseDevice(String(item)))
    const device = new Fields(item, place)
    const source = device.text('source') ?? ''
    return {
      source,
      target: device.text('target') || source,
      permissions: device.text('permissions') || 'rwm',
    }
  })

/** `gpus: all`, or a list of requests, each for a GPU whatever else it names. */
const readGpus = (service: Fields): DeviceRequestConfig[] | undefined => {
  if (typeof service.value('gpus') === 'string') return [{ capabilities: ['gpu'], count: -1 }]
  return service.records('gpus')?.map((request) => {
    const read = readDeviceRequest(request)
    const capabilities = [...new Set([...(read.capabilities ?? []), 'gpu'])]
    const isCounted = read.count !== undefined || read.device_ids !== undefined
    return { ...read, capabilities, ...(isCounted ? {} : { count: -1 }) }
  })
}

/** One of `gpus` and of reserved `devices`. */
export const readDeviceRequest = (request: Fields): DeviceRequestConfig => {
  if (request.value('count') !== undefined && request.value('device_ids') !== undefined) {
    throw new StackFileProblem(request.path, 'count and device_ids conflict; use only one of them')
  }
  return present<DeviceRequestConfig>({
    capabilities: request.texts('capabilities'),
    count: request.parsed('count', parseDeviceCount),
    device_ids: request.texts('device_ids'),
    driver: request.text('driver') || undefined,
    options: request.labels('options'),
  })
}

const readUlimits = (service: Fields): EngineConfig['ulimits'] => {
  const ulimits = service.fields('ulimits')
  if (ulimits === undefined) return undefined
  return Object.fromEntries(
    Object.keys(ulimits.map).map((name) => {
      if (!isMap(ulimits.value(name))) {
        const both = ulimits.number(name) ?? 0
        return [name, { soft: both, hard: both }]
      }
      const limit = ulimits.fields(name)
      return [name, { soft: limit?.number('soft') ?? 0, hard: limit?.number('hard') ?? 0 }]
    }),
  )
}
