import { parseBytes } from '../parse/bytes.ts'
import { parseDevice } from '../parse/device.ts'
import { cpus, deviceRequest } from './deploy-schema.ts'
import {
  boolean,
  driverOptions,
  integer,
  number,
  pairs,
  string,
  stringList,
  stringOrList,
} from './field-types.ts'
import { checked, choice, either, list, mapOf, record, type Schema, scalar } from './schema.ts'

/** Bytes, as a number or as `512m`. */
const bytes = checked((text) => void parseBytes(text), 'number', 'string')

const rate = list(record({ path: string, rate: bytes }, { required: ['path', 'rate'] }))

const blkio = record({
  weight: integer,
  weight_device: list(record({ path: string, weight: integer }, { required: ['path', 'weight'] })),
  device_read_bps: rate,
  device_write_bps: rate,
  device_read_iops: rate,
  device_write_iops: rate,
})

const device = either(
  checked((text) => void parseDevice(text), 'string'),
  record({ source: string, target: string, permissions: string }, { required: ['source'] }),
)

const ulimit = either(
  integer,
  record({ hard: integer, soft: integer }, { required: ['soft', 'hard'] }),
)

/** Keys of a service that an Engine has and Swarm's bodies mostly don't. */
export const engineFields: Readonly<Record<string, Schema>> = {
  annotations: pairs,
  blkio_config: blkio,
  cgroup: choice('host', 'private'),
  cgroup_parent: string,
  cgroupns_mode: string,
  cpu_count: integer,
  cpu_percent: number,
  cpu_period: number,
  cpu_quota: number,
  cpu_rt_period: scalar('number', 'string'),
  cpu_rt_runtime: scalar('number', 'string'),
  cpu_shares: number,
  cpus,
  cpuset: string,
  device_cgroup_rules: stringList,
  devices: list(device),
  domainname: string,
  gpus: either(choice('all'), list(record(deviceRequest))),
  ipc: string,
  mem_limit: bytes,
  mem_reservation: bytes,
  mem_swappiness: integer,
  memswap_limit: checked(checkSwap, 'number', 'string'),
  oom_kill_disable: boolean,
  pid: scalar('string', 'null'),
  pids_limit: integer,
  privileged: boolean,
  runtime: string,
  security_opt: stringList,
  shm_size: bytes,
  storage_opt: driverOptions,
  tmpfs: stringOrList,
  ulimits: mapOf(ulimit),
  userns_mode: string,
  uts: string,
}

/** -1 is without limit. */
function checkSwap(text: string): void {
  if (text !== '-1') parseBytes(text)
}
