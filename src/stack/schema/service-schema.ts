import { parsePortSpec } from '../parse/port.ts'
import { deploySchema, duration } from './deploy-schema.ts'
import {
  any,
  boolean,
  checked,
  driverOptions,
  either,
  integer,
  list,
  mapOf,
  number,
  pairs,
  record,
  scalar,
  since,
  string,
  stringList,
  stringOrList,
  uniqueList,
} from './schema.ts'

/** What a service, network, volume, secret or config may be called in a file. */
export const OBJECT_NAME = /^[a-zA-Z0-9._-]+$/

const buildFields = {
  context: string,
  dockerfile: string,
  args: pairs,
  cache_from: since('3.2', stringList),
  labels: since('3.3', pairs),
  network: since('3.4', string),
  target: since('3.4', string),
  shm_size: since('3.5', scalar('integer', 'string')),
  extra_hosts: since('3.9', pairs),
}
const build = either(string, record(buildFields, { unknown: 'refuse' }))
const openBuild = either(string, record(buildFields, { unknown: 'accept' }))

const shellCommand = either(string, list(string))

const fileReferences = list(
  either(
    string,
    record(
      { source: string, target: string, uid: string, gid: string, mode: number },
      { unknown: 'note' },
    ),
  ),
)

const shortPort = checked((text) => void parsePortSpec(text), 'number', 'string')
const longPort = record({ mode: string, target: integer, published: integer, protocol: string })

const longVolume = record(
  {
    type: string,
    source: string,
    target: string,
    read_only: boolean,
    consistency: string,
    bind: record({ propagation: string }, { unknown: 'note' }),
    volume: record({ nocopy: boolean, subpath: string }, { unknown: 'note' }),
    tmpfs: since('3.6', record({ size: integer }, { unknown: 'note' })),
  },
  { required: ['type'] },
)

const healthcheck = record({
  disable: boolean,
  interval: duration,
  retries: number,
  test: either(string, list(string)),
  timeout: duration,
  start_period: since('3.4', duration),
  start_interval: since('3.12', duration),
})

const networkAttachment = record({
  aliases: stringList,
  driver_opts: since('3.13', driverOptions),
  ipv4_address: string,
  ipv6_address: string,
})

const ulimit = either(
  integer,
  record({ hard: integer, soft: integer }, { required: ['soft', 'hard'] }),
)

/** `services.*`, every key of every format version. */
export const serviceSchema = record(
  {
    build: since('3.11', openBuild, build),
    cap_add: stringList,
    cap_drop: stringList,
    cgroup_parent: string,
    cgroupns_mode: since('3.9', string),
    command: shellCommand,
    configs: since('3.3', fileReferences),
    container_name: string,
    credential_spec: since(
      '3.3',
      record({ config: since('3.8', string), file: string, registry: string }),
    ),
    depends_on: stringList,
    deploy: deploySchema,
    devices: stringList,
    dns: stringOrList,
    dns_search: stringOrList,
    domainname: string,
    entrypoint: shellCommand,
    env_file: stringOrList,
    environment: pairs,
    expose: uniqueList(scalar('string', 'number')),
    external_links: stringList,
    extra_hosts: pairs,
    healthcheck,
    hostname: string,
    image: string,
    init: since('3.7', boolean),
    ipc: string,
    isolation: since('3.5', string),
    labels: pairs,
    links: stringList,
    logging: record({ driver: string, options: mapOf(scalar('string', 'number', 'null')) }),
    mac_address: string,
    network_mode: string,
    networks: either(stringList, mapOf(either(scalar('null'), networkAttachment), OBJECT_NAME)),
    oom_score_adj: since('3.13', integer),
    pid: scalar('string', 'null'),
    ports: since('3.2', uniqueList(either(shortPort, longPort)), uniqueList(shortPort)),
    privileged: boolean,
    read_only: boolean,
    restart: string,
    secrets: since('3.1', fileReferences),
    security_opt: stringList,
    shm_size: scalar('number', 'string'),
    stdin_open: boolean,
    stop_grace_period: duration,
    stop_signal: string,
    sysctls: pairs,
    tmpfs: stringOrList,
    tty: boolean,
    ulimits: mapOf(ulimit),
    user: string,
    userns_mode: string,
    volumes: since('3.2', list(either(string, longVolume)), stringList),
    working_dir: string,
    // Checked against the API's ServiceExtension when it is read.
    'x-swarmctl': since('3.7', any),
  },
  { extensionsSince: '3.7' },
)
