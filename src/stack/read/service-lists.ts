import path from 'node:path/posix'
import type { FileReference, ServicePort, ServiceVolume } from '../config.ts'
import { lookupIn } from '../interpolate/interpolate.ts'
import { parsePortSpec } from '../parse/port.ts'
import { isAbsolutePath, parseVolumeSpec } from '../parse/volume.ts'
import { present } from '../present.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { isMap, type Path, pathText, scalarText } from '../value.ts'
import { Fields } from './fields.ts'
import type { ReadContext } from './read-context.ts'

/** A service's `secrets` or `configs`, short and long form. */
export const readFileReferences = (service: Fields, key: string): FileReference[] | undefined =>
  service.list(key)?.map((item, index) => {
    if (typeof item === 'string') return { source: item }
    const reference = new Fields(item, [...service.at(key), index])
    const mode = reference.number('mode')
    return present<FileReference>({
      source: reference.text('source') ?? '',
      target: reference.text('target'),
      uid: reference.text('uid'),
      gid: reference.text('gid'),
      mode: mode === undefined ? undefined : checkMode(Math.trunc(mode), reference.at('mode')),
    })
  })

const MODE_MAX = 0xffff_ffff

const checkMode = (mode: number, place: Path): number => {
  if (mode < 0 || mode > MODE_MAX) throw new StackFileProblem(place, `${mode} is out of range`)
  return mode
}

/** A service's `ports`, short and long form; a host address is noted, since a cluster publishes on every address. */
export const readPorts = (service: Fields, context: ReadContext): ServicePort[] | undefined =>
  service.list('ports')?.flatMap((item, index): ServicePort[] => {
    const place = [...service.at('ports'), index]
    if (isMap(item)) return [readLongPort(new Fields(item, place))]
    const text = Array.isArray(item) ? '' : scalarText(item)
    return at(place, () => parsePortSpec(text)).map(({ protocol, target, published, hostIp }) => {
      if (!ANY_ADDRESSES.has(hostIp)) {
        context.note(
          `${pathText(place)}: ignoring IP-address (${hostIp}): the service listens on every address`,
        )
      }
      return { mode: 'ingress', target, published, protocol }
    })
  })

const ANY_ADDRESSES = new Set(['', '0.0.0.0', '::'])

const readLongPort = (port: Fields): ServicePort =>
  present<ServicePort>({
    mode: port.text('mode'),
    target: port.count('target'),
    published: port.count('published'),
    protocol: port.text('protocol'),
  })

/** A service's `volumes`, short and long form, with absolute bind sources. */
export const readVolumes = (service: Fields, context: ReadContext): ServiceVolume[] | undefined =>
  service.list('volumes')?.map((item, index) => {
    const place = [...service.at('volumes'), index]
    const volume =
      typeof item === 'string'
        ? readShortVolume(item, place, context)
        : readLongVolume(new Fields(item, place))
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

const readLongVolume = (fields: Fields): ServiceVolume => {
  const bind = fields.fields('bind')
  const volume = fields.fields('volume')
  const tmpfs = fields.fields('tmpfs')
  return present<ServiceVolume>({
    type: fields.text('type'),
    source: fields.text('source'),
    target: fields.text('target'),
    read_only: fields.flag('read_only'),
    consistency: fields.text('consistency'),
    bind: bind && present<{ propagation?: string }>({ propagation: bind.text('propagation') }),
    volume:
      volume &&
      present<NonNullable<ServiceVolume['volume']>>({
        nocopy: volume.flag('nocopy'),
        subpath: volume.text('subpath'),
      }),
    tmpfs: tmpfs && present<{ size?: number }>({ size: tmpfs.count('size') }),
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
