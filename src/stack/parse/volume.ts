import type { ServiceVolume } from '../config.ts'

const PROPAGATIONS = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'])

/**
 * The short form `[source:]target[:options]`. A single letter before a colon is a Windows drive, so `v:/d` is a path and no volume
 * `v`. Unknown options are kept out and returned by name. Thrown: an Error.
 */
export const parseVolumeSpec = (spec: string): { volume: ServiceVolume; unknown: string[] } => {
  if (spec === '') throw new Error('invalid empty volume spec')
  if (spec.length <= 2) return { volume: { type: 'volume', target: spec }, unknown: [] }
  const sections = splitSections(spec)
  if (sections.includes('')) throw new Error(`invalid spec: ${spec}: empty section between colons`)
  if (sections.length > 3) throw new Error(`invalid spec: ${spec}: too many colons`)
  const [first = '', target, options] = sections
  if (target === undefined) return { volume: { type: 'volume', target: first }, unknown: [] }
  const volume: ServiceVolume = {
    type: isFilePath(first) ? 'bind' : 'volume',
    source: first,
    target,
  }
  const unknown: string[] = []
  for (const option of options?.split(',') ?? []) {
    if (option === 'ro') volume.read_only = true
    else if (option === 'rw') volume.read_only = false
    else if (option === 'nocopy') volume.volume = { nocopy: true }
    else if (PROPAGATIONS.has(option)) volume.bind = { propagation: option }
    else unknown.push(option)
  }
  return { volume, unknown }
}

const splitSections = (spec: string): string[] => {
  const sections: string[] = []
  let current = ''
  for (const char of spec) {
    if (char === ':' && !/^\p{L}$/u.test(current)) {
      sections.push(current)
      current = ''
    } else {
      current += char
    }
  }
  return [...sections, current]
}

const isFilePath = (source: string): boolean =>
  /^[./~]/.test(source) || source.startsWith('\\\\') || /^\p{L}:/u.test(source)

/** Whether a path is absolute on Linux or Windows: a stack file may be written for either. */
export const isAbsolutePath = (path: string): boolean =>
  path.startsWith('/') || path.startsWith('\\\\') || /^[a-zA-Z]:[\\/]/.test(path)
