import type { ContainerExtension, DeviceRequest } from '../../api/container-extension.ts'
import type { ServiceConfig } from '../config.ts'
import type { BlkioConfig, DeviceRate, DeviceRequestConfig } from '../engine-config.ts'
import { isCdiName } from '../parse/device.ts'
import { present } from '../present.ts'

/** What of a service only the Engine knows: `ContainerSpec.Swarmctl`. Undefined when there is nothing. */
export const convertEngine = (service: ServiceConfig): ContainerExtension | undefined => {
  const devices = service.devices ?? []
  const cdiNames = devices.map(({ source }) => source).filter(isCdiName)
  const requests = [
    ...(service.gpus ?? []),
    ...(service.deploy?.resources?.reservations?.devices ?? []),
    // As `docker run --device` asks for them.
    ...(cdiNames.length > 0 ? [{ driver: 'cdi', device_ids: cdiNames }] : []),
  ]
  const mapped = devices.filter(({ source }) => !isCdiName(source))
  const extension = present<ContainerExtension>({
    ...convertCpu(service),
    ...convertBlkio(service.blkio_config),
    Annotations: service.annotations,
    CgroupParent: service.cgroup_parent,
    // The schema and the reader let only the Engine's words pass.
    CgroupnsMode: service.cgroup as ContainerExtension['CgroupnsMode'],
    DeviceCgroupRules: nonEmpty(service.device_cgroup_rules),
    DeviceRequests: nonEmpty(requests.map(convertRequest)),
    Devices: nonEmpty(mapped)?.map(({ source, target, permissions }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: permissions,
    })),
    Domainname: service.domainname,
    IpcMode: service.ipc as ContainerExtension['IpcMode'],
    OomKillDisable: service.oom_kill_disable || undefined,
    PidMode: service.pid as ContainerExtension['PidMode'],
    Privileged: service.privileged || undefined,
    Runtime: service.runtime,
    SecurityOpt: nonEmpty(service.security_opt),
    ShmSize: service.shm_size || undefined,
    StorageOpt: service.storage_opt,
    Tmpfs: convertTmpfs(service.tmpfs),
    UTSMode: service.uts as ContainerExtension['UTSMode'],
    UsernsMode: service.userns_mode as ContainerExtension['UsernsMode'],
  })
  return Object.keys(extension).length === 0 ? undefined : extension
}

const nonEmpty = <T>(list: readonly T[] | undefined): T[] | undefined =>
  list === undefined || list.length === 0 ? undefined : [...list]

const convertCpu = (service: ServiceConfig): ContainerExtension =>
  present<ContainerExtension>({
    CpuCount: service.cpu_count || undefined,
    CpuPercent: service.cpu_percent || undefined,
    CpuPeriod: service.cpu_period || undefined,
    CpuQuota: service.cpu_quota || undefined,
    CpuRealtimePeriod: service.cpu_rt_period || undefined,
    CpuRealtimeRuntime: service.cpu_rt_runtime || undefined,
    CpuShares: service.cpu_shares || undefined,
    CpusetCpus: service.cpuset,
  })

const convertBlkio = (blkio: BlkioConfig | undefined): ContainerExtension =>
  present<ContainerExtension>({
    BlkioWeight: blkio?.weight || undefined,
    BlkioWeightDevice: blkio?.weight_device?.map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: convertRates(blkio?.device_read_bps),
    BlkioDeviceWriteBps: convertRates(blkio?.device_write_bps),
    BlkioDeviceReadIOps: convertRates(blkio?.device_read_iops),
    BlkioDeviceWriteIOps: convertRates(blkio?.device_write_iops),
  })

const convertRates = (rates: readonly DeviceRate[] | undefined) =>
  rates?.map(({ path, rate }) => ({ Path: path, Rate: rate }))

/** Without a count and without ids it is all that there are, as for `docker run --gpus`. */
const convertRequest = (request: DeviceRequestConfig): DeviceRequest =>
  present<DeviceRequest>({
    Driver: request.driver,
    Count: request.count ?? (request.device_ids === undefined ? -1 : undefined),
    DeviceIDs: request.device_ids,
    Capabilities: request.capabilities && [request.capabilities],
    Options: request.options,
  })

const convertTmpfs = (mounts: readonly string[] | undefined): Record<string, string> | undefined =>
  mounts === undefined || mounts.length === 0
    ? undefined
    : Object.fromEntries(
        mounts.map((mount) => {
          const colon = mount.indexOf(':')
          return colon === -1 ? [mount, ''] : [mount.slice(0, colon), mount.slice(colon + 1)]
        }),
      )
