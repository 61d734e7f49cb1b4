import path from 'node:path/posix'
import type { FileObjectConfig, IpamPool, NetworkConfig, VolumeConfig } from '../config.ts'
import { present } from '../present.ts'
import { StackFileProblem } from '../stack-error.ts'
import { isMap, pathText, type Value } from '../value.ts'
import type { Fields } from './fields.ts'
import type { ReadContext } from './read-context.ts'

/** `networks.*` from its checked tree. */
export const readNetwork = (network: Fields, key: string, context: ReadContext): NetworkConfig => {
  const ipam = network.fields('ipam')
  return present<NetworkConfig>({
    ...readExternal(network, { kind: 'network', key, context }),
    driver: network.text('driver'),
    driver_opts: network.options('driver_opts'),
    ipam:
      ipam &&
      present<NonNullable<NetworkConfig['ipam']>>({
        driver: ipam.text('driver'),
        config: ipam.records('config')?.map((pool) =>
          present<IpamPool>({
            subnet: pool.text('subnet'),
            ip_range: pool.text('ip_range'),
            gateway: pool.text('gateway'),
            aux_addresses: pool.options('aux_addresses'),
          }),
        ),
        options: ipam.options('options'),
      }),
    enable_ipv4: network.flag('enable_ipv4'),
    enable_ipv6: network.flag('enable_ipv6'),
    internal: network.flag('internal'),
    attachable: network.flag('attachable'),
    labels: network.labels('labels'),
    unused: network.rest(isExtension),
  })
}

/** `volumes.*` from its checked tree. */
export const readVolume = (volume: Fields, key: string, context: ReadContext): VolumeConfig => {
  const config = present<VolumeConfig>({
    ...readExternal(volume, { kind: 'volume', key, context }),
    driver: volume.text('driver'),
    driver_opts: volume.options('driver_opts'),
    labels: volume.labels('labels'),
    unused: volume.rest(isExtension),
  })
  if (config.external === true) refuseWithExternal(config, volume)
  return config
}

/** `secrets.*` and `configs.*` from their checked tree. */
export const readFileObject = (
  object: Fields,
  key: string,
  kind: 'secret' | 'config',
  context: ReadContext,
): FileObjectConfig => {
  const external = readExternal(object, { kind, key, context })
  const file = object.text('file')
  const driver = object.text('driver') || undefined
  if (external.external !== true) requireOneSource(object, kind)
  return present<FileObjectConfig>({
    ...external,
    file: file === undefined ? undefined : path.resolve(context.projectDir, file),
    environment: object.text('environment'),
    content: kind === 'config' ? object.text('content') : undefined,
    labels: object.labels('labels'),
    driver,
    driver_opts: object.options('driver_opts'),
    template_driver: object.text('template_driver'),
    unused: object.rest(isExtension),
  })
}

/** Where its data comes from. */
const requireOneSource = (object: Fields, kind: 'secret' | 'config'): void => {
  const sources = ['driver', 'file', 'environment', 'content'].filter(
    (key) => object.value(key) !== undefined && (key === 'content' || object.text(key) !== ''),
  )
  if (sources.length > 1) {
    const text = `${sources.join(' and ')} conflict; use only one of them`
    throw new StackFileProblem(object.path, text)
  }
  if (sources.length === 1) return
  const more = kind === 'config' ? 'environment or content' : 'environment'
  throw new StackFileProblem(object.path, `needs a file, ${more}, or external: true`)
}

const isExtension = (key: string): boolean => key.startsWith('x-')

interface ExternalContext {
  kind: string
  key: string
  context: ReadContext
}

interface ExternalName {
  name: string | undefined
  external: boolean | undefined
}

/**
 * `name` and `external`; an external object has a name in any case: `external.name`, `name` or its key. An empty name, as of a variable that is
 * not set, is none.
 */
const readExternal = (object: Fields, { kind, key, context }: ExternalContext): ExternalName => {
  const given = object.value('external')
  const name = object.text('name') || undefined
  const isExternal = isMap(given) || object.flag('external') === true
  if (!isExternal) return { name, external: undefined }
  noteWithExternal(object, kind, context)
  const deprecated = isMap(given) ? object.fields('external')?.text('name') || undefined : undefined
  if (deprecated === undefined) return { name: name ?? key, external: true }
  if (name !== undefined) {
    throw new StackFileProblem(object.path, 'external.name and name conflict; use only name')
  }
  context.note(`${kind} ${key}: external.name is deprecated in favor of name`)
  return { name: deprecated, external: true }
}

/** Docker takes them beside `external`, and Compose refuses them: nothing is made of them. A volume's are refused by both. */
const noteWithExternal = (object: Fields, kind: string, { note }: ReadContext): void => {
  if (kind === 'volume') return
  for (const [key, value] of Object.entries(object.map)) {
    if (key === 'name' || key === 'external' || isExtension(key) || isNothing(value)) continue
    note(`${pathText(object.at(key))} is ignored: the ${kind} is external`)
  }
}

const isNothing = (value: Value | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0)

const refuseWithExternal = (config: VolumeConfig, volume: Fields): void => {
  for (const key of ['driver', 'driver_opts', 'labels'] as const) {
    const value = config[key]
    if (value === undefined || (typeof value === 'object' && Object.keys(value).length === 0))
      continue
    throw new StackFileProblem(
      volume.path,
      `conflicting parameters "external" and "${key}" specified`,
    )
  }
}
