import { isIP } from 'node:net'
import path from 'node:path/posix'
import type { FileReference, ServicePort, ServiceVolume } from '../config.ts'
import { lookupIn } from '../interpolate/interpolate.ts'
import { parseBytes } from '../parse/bytes.ts'
import { ignoredProtocols, parsePortRange, parsePortSpec } from '../parse/port.ts'
import { isAbsolutePath, parseVolumeSpec } from '../parse/volume.ts'
import { present } from '../present.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { isMap, type Path, pathText, type Scalar, scalarText } from '../value.ts'
import { Fields } from './fields.ts'
import type { ReadContext } from './read-context.ts'

/** A service's `secrets` or `configs`, short and long form. */
export const readFileReferences = (service: Fields, key: string): FileReference[] | undefined =>
  service.list(key)?.map((item, index) => {
    if (typeof item === 'string') return { source: item }
    const reference = new Fields(item, [...service.at(key), index])
    return present<FileReference>({
      source: reference.text('source') ?? '',
      target: reference.text('target'),
      uid: reference.text('uid'),
      gid: reference.text('gid'),
      mode: readMode(reference),
    })
  })

const MODE_MAX = 0xffff_ffff

/** Permission bits: a number as YAML has it (`0440` is octal there), or text, which is octal. */
const readMode = (fields: Fields): number | undefined => {
  const value = fields.value('mode')
  if (value === undefined) return undefined
  const isOctal = typeof value === 'string' && /^0?o?[0-7]+$/.test(value)
  const mode = isOctal ? Number.parseInt(value.replace('o', ''), 8) : Math.trunc(Number(value))
  if (!(mode >= 0 && mode <= MODE_MAX)) {
    throw new StackFileProblem(fields.at('mode'), `${scalarText(value as Scalar)} is out of range`)
  }
  return mode
}

/** A service's `ports`, short and long form. */
export const readPorts = (service: Fields, context: ReadContext): ServicePort[] | undefined =>
  service.list('ports')?.flatMap((item, index): ServicePort[] => {
    const place = [...service.at('ports'), index]
    if (isMap(item)) return readLongPort(new Fields(item, place), context)
    const text = Array.isArray(item) ? '' : scalarText(item)
    for (const protocol of ignoredProtocols(text)) {
      const remedy = `${protocol} is ignored: a port has one protocol, write another line for it`
      context.note(`${pathText(place)}: ${remedy}`)
    }
    return at(place, () => parsePortSpec(text)).map(({ protocol, target, published, hostIp }) =>
      present<ServicePort>({
        mode: 'ingress',
        target,
        published: published || undefined,
        protocol,
        host_ip: oneAddress(hostIp),
      }),
    )
  })

const ANY_ADDRESSES = new Set(['', '0.0.0.0', '::'])

const oneAddress = (address: string): string | undefined =>
  ANY_ADDRESSES.has(address) ? undefined : address

/** A range of published numbers is as many ports, as in the short form. */
const readLongPort = (port: Fields, { note }: ReadContext): ServicePort[] => {
  if (port.value('app_protocol') !== undefined) {
    note(`${pathText(port.at('app_protocol'))} is ignored: a published port passes everything on`)
  }
  const hostIp = port.text('host_ip') ?? ''
  if (hostIp !== '' && isIP(hostIp) === 0) {
    throw new StackFileProblem(port.at('host_ip'), `invalid IP address: ${hostIp}`)
  }
  const range = port.value('published') === undefined ? undefined : port.scalar('published')
  const published = range ? at(port.at('published'), () => parsePortRange(range)) : [undefined]
  return published.map((number) =>
    present<ServicePort>({
      name: port.text('name') || undefined,
      mode: port.text('mode'),
      target: port.count('target'),
      published: number,
      protocol: port.text('protocol'),
      host_ip: oneAddress(hostIp),
    }),
  )
}

/** A service's `volumes`, short and long form, with absolute bind sources. */
export const readVolumes = (service: Fields, context: ReadContext): ServiceVolume[] | undefined =>
  service.list('volumes')?.map((item, index) => {
    const place = [...service.at('volumes'), index]
    const volume =
      typeof item === 'string'
        ? readShortVolume(item, place, context)
        : readLongVolume(new Fields(item, place), context)
    if (volume.type !== 'bind') return volume
    if ((volume.source ?? '') === '') {
      throw new StackFileProblem(place, 'a bind mount needs a source')
    }
    return { ...volume, source: bindSource(volume.source ?? '', context) }
  })

const readShortVolume = (spec: string, place: Path, context: ReadContext): ServiceVolume => {
  const { volume, unknown } = at(place, () => parseVolumeSpec(spec))
  for (const option of unknown)
    context.note(`${pathText(place)}: ignoring unknown option ${option}`)
  return volume
}

const readLongVolume = (fields: Fields, { note }: ReadContext): ServiceVolume => {
  const bind = fields.fields('bind')
  const volume = fields.fields('volume')
  const tmpfs = fields.fields('tmpfs')
  const image = fields.fields('image')
  if (volume?.text('subpath') && !fields.text('source')) {
    note(`${pathText(volume.at('subpath'))} is ignored: a volume without a name begins empty`)
  }
  return present<ServiceVolume>({
    type: fields.text('type'),
    source: fields.text('source'),
    target: fields.text('target'),
    read_only: fields.flag('read_only'),
    consistency: fields.text('consistency'),
    bind:
      bind &&
      present<NonNullable<ServiceVolume['bind']>>({
        propagation: bind.text('propagation'),
        create_host_path: bind.flag('create_host_path'),
        recursive: bind.text('recursive'),
      }),
    volume:
      volume &&
      present<NonNullable<ServiceVolume['volume']>>({
        nocopy: volume.flag('nocopy'),
        subpath: volume.text('subpath'),
        labels: volume.labels('labels'),
      }),
    tmpfs:
      tmpfs &&
      present<NonNullable<ServiceVolume['tmpfs']>>({
        size: tmpfs.parsed('size', parseBytes),
        mode: readMode(tmpfs),
      }),
    image: image && present<{ subpath?: string }>({ subpath: image.text('subpath') }),
  })
}

const bindSource = (source: string, context: ReadContext): string => {
  const home = source.startsWith('~') ? lookupIn(context.env)('HOME') : undefined
  if (source.startsWith('~') && home === undefined) {
    context.note("cannot expand '~', because the environment lacks HOME")
  }
  const expanded = home === undefined ? source : home + source.slice(1)
  return isAbsolutePath(expanded) ? expanded : path.resolve(context.projectDir, expanded)
}
