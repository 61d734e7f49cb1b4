import type {
  HealthcheckConfig,
  LoggingConfig,
  NetworkAttachment,
  ServiceConfig,
} from '../config.ts'
import { parseDuration } from '../parse/duration.ts'
import { splitShellWords } from '../parse/shell-words.ts'
import { present } from '../present.ts'
import { at } from '../stack-error.ts'
import { isMap } from '../value.ts'
import { DEPRECATED_KEYS, SILENT_KEYS, UNSUPPORTED_KEYS } from '../warnings.ts'
import { readDeploy } from './deploy.ts'
import { readExtension } from './extension.ts'
import type { Fields } from './fields.ts'
import type { ReadContext } from './read-context.ts'
import { readFileReferences, readPorts, readVolumes } from './service-lists.ts'

/** `services.*` from its checked tree. Env files are named, not read. Thrown: StackFileProblem. */
export const readService = (service: Fields, context: ReadContext): ServiceConfig => {
  const extension = service.value('x-swarmctl')
  return present<ServiceConfig>({
    ...readContainer(service),
    configs: readFileReferences(service, 'configs'),
    credential_spec: readCredentialSpec(service.fields('credential_spec')),
    deploy: readDeployOf(service),
    env_file: service.texts('env_file'),
    environment: service.environment('environment'),
    healthcheck: readHealthcheck(service.fields('healthcheck')),
    logging: readLogging(service.fields('logging')),
    networks: readNetworks(service),
    ports: readPorts(service, context),
    restart: service.text('restart'),
    secrets: readFileReferences(service, 'secrets'),
    volumes: readVolumes(service, context),
    unused: service.rest((key) => UNUSED_KEYS.has(key) || isForeignExtension(key)),
    swarmctl:
      extension === undefined ? undefined : readExtension(extension, service.at('x-swarmctl')),
  })
}

/** `restart` is used, although the docker CLI says that it is not. */
const UNUSED_KEYS = new Set(
  [...UNSUPPORTED_KEYS, ...DEPRECATED_KEYS.keys(), ...SILENT_KEYS].filter(
    (key) => key !== 'restart',
  ),
)

const isForeignExtension = (key: string): boolean => key.startsWith('x-') && key !== 'x-swarmctl'

const readDeployOf = (service: Fields): ServiceConfig['deploy'] => {
  const deploy = service.fields('deploy')
  return deploy && readDeploy(deploy)
}

const readContainer = (service: Fields) => ({
  cap_add: service.texts('cap_add'),
  cap_drop: service.texts('cap_drop'),
  command: readCommand(service, 'command'),
  dns: service.texts('dns'),
  dns_search: service.texts('dns_search'),
  entrypoint: readCommand(service, 'entrypoint'),
  extra_hosts: readExtraHosts(service),
  hostname: service.text('hostname'),
  image: service.text('image'),
  init: service.flag('init'),
  isolation: service.text('isolation'),
  labels: service.labels('labels'),
  oom_score_adj: service.number('oom_score_adj'),
  read_only: service.flag('read_only'),
  stdin_open: service.flag('stdin_open'),
  stop_grace_period: service.parsed('stop_grace_period', parseDuration),
  stop_signal: service.text('stop_signal'),
  sysctls: service.labels('sysctls'),
  tty: service.flag('tty'),
  ulimits: readUlimits(service),
  user: service.text('user'),
  working_dir: service.text('working_dir'),
})

const readCommand = (service: Fields, key: string): string[] | undefined => {
  const value = service.value(key)
  if (typeof value !== 'string') return service.texts(key)
  return at(service.at(key), () => splitShellWords(value))
}

const readCredentialSpec = (spec: Fields | undefined): ServiceConfig['credential_spec'] =>
  spec &&
  present<NonNullable<ServiceConfig['credential_spec']>>({
    config: spec.text('config'),
    file: spec.text('file'),
    registry: spec.text('registry'),
  })

const readHealthcheck = (check: Fields | undefined): HealthcheckConfig | undefined => {
  if (check === undefined) return undefined
  const test = check.value('test')
  return present<HealthcheckConfig>({
    test: typeof test === 'string' ? ['CMD-SHELL', test] : check.texts('test'),
    timeout: check.parsed('timeout', parseDuration),
    interval: check.parsed('interval', parseDuration),
    retries: check.count('retries'),
    start_period: check.parsed('start_period', parseDuration),
    start_interval: check.parsed('start_interval', parseDuration),
    disable: check.flag('disable'),
  })
}

const readLogging = (logging: Fields | undefined): LoggingConfig | undefined =>
  logging &&
  present<LoggingConfig>({ driver: logging.text('driver'), options: logging.options('options') })

/** `host:address` for each; a list may also write `host=address`, and brackets around IPv6 go. */
const readExtraHosts = (service: Fields): string[] | undefined => {
  const value = service.value('extra_hosts')
  if (value === undefined) return undefined
  const hosts = isMap(value)
    ? Object.entries(service.environment('extra_hosts') ?? {})
        .flatMap(([host, address]) => (address === null ? [] : [`${host}:${address}`]))
        .sort()
    : (service.texts('extra_hosts') ?? []).map((item) => item.replace(/^([^=]*?)=/, '$1:'))
  return hosts.map((item) => item.replace(/^([^:]*):\[(.+)\]$/, '$1:$2'))
}

const readNetworks = (service: Fields): Record<string, NetworkAttachment> | undefined => {
  const value = service.value('networks')
  if (value === undefined) return undefined
  if (!isMap(value))
    return Object.fromEntries((service.texts('networks') ?? []).map((n) => [n, {}]))
  return service.fields('networks')?.each((attachment) =>
    present<NetworkAttachment>({
      aliases: attachment.texts('aliases'),
      driver_opts: attachment.options('driver_opts'),
      ipv4_address: attachment.text('ipv4_address'),
      ipv6_address: attachment.text('ipv6_address'),
    }),
  )
}

const readUlimits = (service: Fields): ServiceConfig['ulimits'] => {
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
