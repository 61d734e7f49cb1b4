import path from 'node:path/posix'
import type {
  DependencyConfig,
  EnvFileConfig,
  HealthcheckConfig,
  LoggingConfig,
  NetworkAttachment,
  ServiceConfig,
} from '../config.ts'
import { parseDuration } from '../parse/duration.ts'
import { splitShellWords } from '../parse/shell-words.ts'
import { present } from '../present.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { isMap, pathText, type Scalar, scalarText, type ValueMap } from '../value.ts'
import { DEPRECATED_KEYS, UNUSED_SERVICE_KEYS } from '../warnings.ts'
import { readDeploy } from './deploy.ts'
import { readEngine } from './engine.ts'
import { readExtension } from './extension.ts'
import { Fields } from './fields.ts'
import type { ReadContext } from './read-context.ts'
import { readFileReferences, readPorts, readVolumes } from './service-lists.ts'

/** `services.*` from its checked tree. Env files are named, not read. Thrown: StackFileProblem. */
export const readService = (service: Fields, context: ReadContext): ServiceConfig => {
  const extension = service.value('x-swarmctl')
  return present<ServiceConfig>({
    ...readContainer(service, context),
    ...readEngine(service, context),
    container_name: service.text('container_name') || undefined,
    depends_on: readDependencies(service, context),
    env_file: readEnvFiles(service, context),
    extends: readExtends(service),
    label_file: service.texts('label_file')?.map((file) => path.resolve(context.projectDir, file)),
    configs: readFileReferences(service, 'configs'),
    credential_spec: readCredentialSpec(service.fields('credential_spec')),
    deploy: readDeployOf(service),
    environment: service.environment('environment'),
    healthcheck: readHealthcheck(service.fields('healthcheck')),
    logging: readLogging(service.fields('logging')),
    networks: readNetworks(service),
    platform: readPlatform(service, context),
    ports: readPorts(service, context),
    profiles: service.texts('profiles'),
    restart: service.text('restart'),
    scale: service.count('scale'),
    secrets: readFileReferences(service, 'secrets'),
    volumes: readVolumes(service, context),
    unused: readUnused(service),
    swarmctl:
      extension === undefined ? undefined : readExtension(extension, service.at('x-swarmctl')),
  })
}

const UNUSED_KEYS = new Set([...UNUSED_SERVICE_KEYS, ...DEPRECATED_KEYS.keys()])

/** What a cluster does nothing with, in the docker CLI's long forms: `stack config` prints it for others to read. */
const readUnused = (service: Fields): ValueMap | undefined => {
  const unused = service.rest((key) => UNUSED_KEYS.has(key) || isForeignExtension(key))
  if (unused === undefined) return undefined
  const { build, expose, ...rest } = unused
  return {
    ...rest,
    ...(build !== undefined && { build: typeof build === 'string' ? { context: build } : build }),
    ...(expose !== undefined && { expose: service.texts('expose') ?? null }),
  }
}

const isForeignExtension = (key: string): boolean => key.startsWith('x-') && key !== 'x-swarmctl'

/** The list form asks only for the order in which services start. */
const readDependencies = (
  service: Fields,
  { note }: ReadContext,
): Record<string, DependencyConfig> | undefined => {
  const value = service.value('depends_on')
  if (value === undefined) return undefined
  if (!isMap(value)) {
    const names = service.texts('depends_on') ?? []
    return Object.fromEntries(names.map((name) => [name, { condition: 'service_started' }]))
  }
  return service.fields('depends_on')?.each((dependency) => {
    const restart = dependency.flag('restart')
    if (restart === true) {
      note(`${pathText(dependency.at('restart'))} is ignored: every service is restarted by itself`)
    }
    return present<DependencyConfig>({
      // The schema lets only these pass.
      condition: dependency.text('condition') as DependencyConfig['condition'],
      restart,
      required: dependency.flag('required'),
    })
  })
}

const readExtends = (service: Fields): ServiceConfig['extends'] => {
  const value = service.value('extends')
  if (typeof value === 'string') return { service: value }
  const base = service.fields('extends')
  return (
    base &&
    present<NonNullable<ServiceConfig['extends']>>({
      service: base.text('service') ?? '',
      file: base.text('file'),
    })
  )
}

const readEnvFiles = (service: Fields, context: ReadContext): EnvFileConfig[] | undefined => {
  const value = service.value('env_file')
  const items = typeof value === 'string' ? [value] : service.list('env_file')
  return items?.map((item, index) => {
    const file = isMap(item) ? new Fields(item, [...service.at('env_file'), index]) : undefined
    const written = file?.text('path') ?? String(item)
    return {
      path: path.resolve(context.projectDir, written),
      written,
      required: file?.flag('required') ?? true,
      format: file === undefined ? 'raw' : readFormat(file),
    }
  })
}

/** A file that is named by its path alone is read as the docker CLI reads it; the long form is Compose's, and so is its format. */
const readFormat = (file: Fields): EnvFileConfig['format'] => {
  const format = file.text('format')
  if (format === undefined) return 'compose'
  if (format === 'raw') return format
  throw new StackFileProblem(file.at('format'), `unsupported format ${format}: use raw, or none`)
}

/** `os/architecture/variant`: nodes tell no variant. */
const readPlatform = (service: Fields, { note }: ReadContext): string | undefined => {
  const platform = service.text('platform') || undefined
  const variant = platform?.split('/')[2]
  if (variant !== undefined) {
    const place = pathText(service.at('platform'))
    note(`${place}: ${variant} is ignored: a cluster knows the architecture of its nodes only`)
  }
  return platform
}

const readDeployOf = (service: Fields): ServiceConfig['deploy'] => {
  const deploy = service.fields('deploy')
  return deploy && readDeploy(deploy)
}

const readContainer = (service: Fields, context: ReadContext) => ({
  cap_add: service.texts('cap_add'),
  cap_drop: service.texts('cap_drop'),
  command: readCommand(service, 'command'),
  dns: service.texts('dns'),
  dns_opt: service.texts('dns_opt'),
  dns_search: service.texts('dns_search'),
  entrypoint: readCommand(service, 'entrypoint'),
  extra_hosts: readExtraHosts(service, context),
  group_add: service.list('group_add')?.map(String),
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

/** `host:address` for each; a list may also write `host=address`, and brackets around IPv6 go. A host alone says nothing. */
const readExtraHosts = (service: Fields, { note }: ReadContext): string[] | undefined => {
  const value = service.value('extra_hosts')
  if (value === undefined) return undefined
  const hosts = isMap(value)
    ? Object.entries(value)
        .flatMap(([host, addresses]) =>
          (Array.isArray(addresses) ? addresses : [addresses])
            .filter((address) => address !== null)
            .map((address) => `${host}:${scalarText(address as Scalar)}`),
        )
        .sort()
    : (service.texts('extra_hosts') ?? []).map((item) => item.replace(/^([^=]*?)=/, '$1:'))
  return hosts.flatMap((item) => {
    if (item.includes(':')) return [item.replace(/^([^:]*):\[(.+)\]$/, '$1:$2')]
    note(`${pathText(service.at('extra_hosts'))}: ${item} is ignored: it has no address`)
    return []
  })
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
