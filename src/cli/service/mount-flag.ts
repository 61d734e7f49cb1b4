import { resolve } from 'node:path'
import type { Mount } from '../../api/service-spec.ts'
import { bytes, choice, flagBoolean, oneOf } from './flag-values.ts'
import { badFlag, keyValues, refusedFlag, splitPair } from './key-values.ts'

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
  const [key, text] = splitPair(value)
  return key === '' ? {} : { [key]: text }
}

/** What begins with a dot is a path here, where the command runs: the node has no idea of it. */
const source: Setter = (mount, value) => {
  mount.Source = value.startsWith('.') ? resolve(value) : value
}
const target: Setter = (mount, value) => {
  mount.Target = value
}
const readOnly: Setter = (mount, value, flag) => {
  mount.ReadOnly = flagBoolean(flag, value)
}

const SETTERS: Record<string, Setter> = {
  type(mount, value, flag) {
    if (value === '') throw badFlag(flag, value, 'type is required')
    const type = choice(
      'bind',
      'volume',
      'tmpfs',
      'npipe',
      'image',
      'cluster',
    )(flag, value.toLowerCase())
    mount.Type = type ?? 'volume'
  },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly: readOnly,
  ro: readOnly,
  'bind-propagation'(mount, value) {
    mount.BindOptions = { ...mount.BindOptions, Propagation: value.toLowerCase() }
  },
  'bind-nonrecursive'(mount, value, flag) {
    mount.BindOptions = { ...mount.BindOptions, NonRecursive: flagBoolean(flag, value) }
  },
  'bind-recursive'(mount, value, flag) {
    const kind = oneOf('enabled', 'disabled', 'writable', 'readonly')(flag, value)
    mount.BindOptions = {
      ...mount.BindOptions,
      ...(kind === 'disabled' && { NonRecursive: true }),
      ...(kind === 'writable' && { ReadOnlyNonRecursive: true }),
      ...(kind === 'readonly' && { ReadOnlyForceRecursive: true }),
    }
  },
  'image-subpath'(mount, value) {
    mount.ImageOptions = { ...mount.ImageOptions, Subpath: value }
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
    mount.Consistency = value.toLowerCase()
  },
}

/** What is true without a value. */
const BARE_KEYS = ['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive']

/** Options of another type would have no effect. */
const mixedOptions = (mount: Mount): string | undefined => {
  const options = {
    bind: mount.BindOptions,
    volume: mount.VolumeOptions,
    tmpfs: mount.TmpfsOptions,
    image: mount.ImageOptions,
  }
  const other = Object.entries(options).find(
    ([type, of]) => of !== undefined && type !== mount.Type,
  )
  return other && `${other[0]}-* options can't be used with type ${mount.Type}`
}

/** What is below a mount can only be read-only where the mount is, and only where no other mount comes to be there. */
const recursionProblem = ({ BindOptions, ReadOnly }: Mount): string | undefined => {
  const { ReadOnlyNonRecursive, ReadOnlyForceRecursive, Propagation } = BindOptions ?? {}
  if ((ReadOnlyNonRecursive || ReadOnlyForceRecursive) && !ReadOnly) {
    return 'bind-recursive=writable and =readonly need readonly'
  }
  return ReadOnlyForceRecursive && Propagation !== 'rprivate'
    ? 'bind-recursive=readonly needs bind-propagation=rprivate'
    : undefined
}

/** `--mount`: `type=volume,source=data,target=/data,readonly`. */
export const parseMount = (flag: string, value: string): Mount => {
  const mount: Mount = { Type: 'volume' }
  for (const [key, text] of keyValues(value)) {
    const set = SETTERS[key]
    if (!set) throw badFlag(flag, value, `unknown key "${key}"`)
    if (text === undefined && !BARE_KEYS.includes(key)) {
      throw badFlag(flag, value, `"${key}" needs a value`)
    }
    set(mount, text ?? 'true', flag)
  }
  if (!mount.Target) throw badFlag(flag, value, 'target is required')
  const problem = mixedOptions(mount) ?? recursionProblem(mount)
  if (problem !== undefined) throw badFlag(flag, value, problem)
  if (mount.Type === 'bind' && !mount.Source) {
    throw refusedFlag(flag, value, 'source is required for type bind')
  }
  return mount
}
