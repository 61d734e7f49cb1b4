import type { Mount } from '../../api/service-spec.ts'
import { bytes, flagBoolean, oneOf } from './flag-values.ts'
import { badFlag, keyValues } from './key-values.ts'

type Setter = (mount: Mount, value: string, flag: string) => void

const volumeOptions = (mount: Mount): NonNullable<Mount['VolumeOptions']> => {
  mount.VolumeOptions ??= {}
  return mount.VolumeOptions
}

const driverConfig = (mount: Mount) => {
  const options = volumeOptions(mount)
  options.DriverConfig ??= {}
  return options.DriverConfig
}

const pair = (value: string): Record<string, string> => {
  const [key, ...rest] = value.split('=')
  return { [key as string]: rest.join('=') }
}

const source: Setter = (mount, value) => {
  mount.Source = value
}
const target: Setter = (mount, value) => {
  mount.Target = value
}
const readOnly: Setter = (mount, value, flag) => {
  mount.ReadOnly = flagBoolean(flag, value)
}

const SETTERS: Record<string, Setter> = {
  type(mount, value, flag) {
    mount.Type = oneOf('bind', 'volume', 'tmpfs', 'npipe', 'image')(flag, value)
  },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly: readOnly,
  ro: readOnly,
  'bind-propagation'(mount, value) {
    mount.BindOptions = { ...mount.BindOptions, Propagation: value }
  },
  'bind-nonrecursive'(mount, value, flag) {
    mount.BindOptions = { ...mount.BindOptions, NonRecursive: flagBoolean(flag, value) }
  },
  'volume-nocopy'(mount, value, flag) {
    volumeOptions(mount).NoCopy = flagBoolean(flag, value)
  },
  'volume-subpath'(mount, value) {
    volumeOptions(mount).Subpath = value
  },
  'volume-label'(mount, value) {
    const options = volumeOptions(mount)
    options.Labels = { ...options.Labels, ...pair(value) }
  },
  'volume-driver'(mount, value) {
    driverConfig(mount).Name = value
  },
  'volume-opt'(mount, value) {
    const config = driverConfig(mount)
    config.Options = { ...config.Options, ...pair(value) }
  },
  'tmpfs-size'(mount, value, flag) {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: bytes(flag, value) }
  },
  'tmpfs-mode'(mount, value, flag) {
    if (!/^[0-7]+$/.test(value)) throw badFlag(flag, value, 'tmpfs-mode is octal, e.g. 1777')
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) }
  },
  consistency(mount, value) {
    mount.Consistency = value
  },
}

/** `--mount`: `type=volume,source=data,target=/data,readonly`. */
export const parseMount = (flag: string, value: string): Mount => {
  const mount: Mount = { Type: 'volume' }
  for (const [key, text] of keyValues(value)) {
    const set = SETTERS[key]
    if (!set) throw badFlag(flag, value, `unknown key "${key}"`)
    set(mount, text ?? 'true', flag)
  }
  if (!mount.Target) throw badFlag(flag, value, 'target is required')
  if (mount.Type === 'bind' && !mount.Source) {
    throw badFlag(flag, value, 'source is required for type bind')
  }
  return mount
}
