import { parsePortSpec } from '../parse/port.ts'
import { deploySchema, duration } from './deploy-schema.ts'
import { engineFields } from './engine-schema.ts'
import {
  boolean,
  driverOptions,
  integer,
  number,
  pairs,
  shellCommand,
  string,
  stringList,
  stringOrList,
} from './field-types.ts'
import { any, checked, choice, either, list, mapOf, record, scalar, uniqueList } from './schema.ts'

/** What a service, network, volume, secret or config may be called in a file. */
export const OBJECT_NAME = /^[a-zA-Z0-9._-]+$/

/** A build is not done, so that what it would be made with is not looked at. */
const build = either(string, record({ context: string }, { unknown: 'accept' }))

const fileReferences = list(
  either(
    string,
    record(
      {
        source: string,
        target: string,
        uid: string,
        gid: string,
        mode: checked(checkMode, 'number', 'string'),
      },
      { unknown: 'note' },
    ),
  ),
)

function checkMode(text: string): void {
  if (Number.isNaN(Number(text))) throw new Error(`must be a number such as 0440, not ${text}`)
}

const shortPort = checked((text) => void parsePortSpec(text), 'number', 'string')
const longPort = record({
  name: string,
  mode: string,
  host_ip: string,
  target: integer,
  published: scalar('integer', 'string'),
  protocol: string,
  app_protocol: string,
})

const longVolume = record(
  {
    type: string,
    source: string,
    target: string,
    read_only: boolean,
    consistency: string,
    bind: record(
      {
        propagation: string,
        create_host_path: boolean,
        recursive: choice('enabled', 'disabled', 'writable', 'readonly'),
      },
      { unknown: 'note' },
    ),
    volume: record({ nocopy: boolean, subpath: string, labels: pairs }, { unknown: 'note' }),
    tmpfs: record(
      { size: scalar('integer', 'string'), mode: checked(checkMode, 'number', 'string') },
      { unknown: 'note' },
    ),
    image: record({ subpath: string }, { unknown: 'note' }),
  },
  { required: ['type'] },
)

const healthcheck = record({
  disable: boolean,
  interval: duration,
  retries: number,
  test: either(string, list(string)),
  timeout: duration,
  start_period: duration,
  start_interval: duration,
})

const networkAttachment = record({
  aliases: stringList,
  driver_opts: driverOptions,
  ipv4_address: string,
  ipv6_address: string,
  link_local_ips: stringList,
  mac_address: string,
  interface_name: string,
  priority: number,
  gw_priority: number,
})

const dependency = record(
  {
    condition: choice('service_started', 'service_healthy', 'service_completed_successfully'),
    restart: boolean,
    required: boolean,
  },
  { required: ['condition'] },
)

const envFile = either(
  string,
  list(either(string, record({ path: string, required: boolean, format: string }))),
)

const extendsField = either(
  string,
  record({ service: string, file: string }, { required: ['service'] }),
)

const hostAddresses = either(
  mapOf(either(scalar('string', 'number', 'null'), list(string))),
  stringList,
)

/** `services.*`: what the docker CLI takes, and what the Compose Specification has besides. */
export const serviceSchema = record({
  ...engineFields,
  attach: boolean,
  build,
  cap_add: stringList,
  cap_drop: stringList,
  command: shellCommand,
  configs: fileReferences,
  container_name: string,
  credential_spec: record({ config: string, file: string, registry: string }),
  depends_on: either(stringList, mapOf(dependency, OBJECT_NAME)),
  deploy: deploySchema,
  develop: any,
  dns: stringOrList,
  dns_opt: stringList,
  dns_search: stringOrList,
  entrypoint: shellCommand,
  env_file: envFile,
  environment: pairs,
  expose: uniqueList(scalar('string', 'number')),
  extends: extendsField,
  external_links: stringList,
  extra_hosts: hostAddresses,
  group_add: uniqueList(scalar('string', 'number')),
  healthcheck,
  hostname: string,
  image: string,
  init: boolean,
  isolation: string,
  label_file: either(string, list(string)),
  labels: pairs,
  links: stringList,
  logging: record({ driver: string, options: mapOf(scalar('string', 'number', 'null')) }),
  mac_address: string,
  network_mode: string,
  networks: either(stringList, mapOf(either(scalar('null'), networkAttachment), OBJECT_NAME)),
  oom_score_adj: integer,
  platform: string,
  ports: uniqueList(either(shortPort, longPort)),
  profiles: stringList,
  pull_policy: string,
  pull_refresh_after: string,
  read_only: boolean,
  restart: string,
  scale: integer,
  secrets: fileReferences,
  stdin_open: boolean,
  stop_grace_period: duration,
  stop_signal: string,
  sysctls: pairs,
  tty: boolean,
  // True is refused before.
  use_api_socket: scalar('boolean'),
  user: string,
  volumes: list(either(string, longVolume)),
  working_dir: string,
  // Checked against the API's ServiceExtension when it is read.
  'x-swarmctl': any,
})
