import path from 'node:path/posix'
import type { ServiceConfig, StackConfig } from '../config.ts'
import type { Locations } from '../location.ts'
import { mergeService, withoutPaths } from '../merge.ts'
import type { ReadContext } from '../read/read-context.ts'
import { located, StackFileProblem } from '../stack-error.ts'
import { entry, isMap, type Path, type Value, type ValueMap } from '../value.ts'
import { type ParsedFile, parseStackFile, readStackFile } from './stack-file.ts'
import { readNamed, type StackFiles } from './stack-files.ts'

/** What extending reads from. */
export interface ExtendsContext extends ReadContext {
  io: StackFiles
  /** Gets the trees that are read, for warnings about their keys. */
  roots: ValueMap[]
}

/** Services that one may extend through: a longer chain is a mistake. */
const CHAIN_LENGTH_MAX = 32

interface Resolved {
  service: ServiceConfig
  locations: Locations
}

/** Each service over the one that it extends, of the same file or of another. Thrown: SwarmctlError, naming file, line and key. */
export const resolveExtends = async (
  config: StackConfig,
  parsed: ParsedFile,
  context: ExtendsContext,
): Promise<StackConfig> => {
  const services = new Map<string, ServiceConfig>()
  let locations = config.locations
  for (const name of Object.keys(config.services)) {
    const resolved = await resolveService(name, config, parsed, { context, chain: [] })
    services.set(name, resolved.service)
    // Who extends nothing stands where it stood.
    if (resolved.locations === config.locations) continue
    const place = ['services', name]
    locations = locations.extend(resolved.locations, place, place)
  }
  return { ...config, services: Object.fromEntries(services), locations }
}

interface Chain {
  context: ExtendsContext
  /** The services on the way here, as `file service`. */
  chain: readonly string[]
}

const resolveService = async (
  name: string,
  config: StackConfig,
  parsed: ParsedFile,
  { context, chain }: Chain,
): Promise<Resolved> => {
  const { extends: base, ...own } = config.services[name] ?? {}
  if (base === undefined) return { service: own, locations: config.locations }
  const step = `${parsed.file} ${name}`
  const place = ['services', name, 'extends']
  try {
    if (chain.includes(step) || chain.length >= CHAIN_LENGTH_MAX) {
      throw new StackFileProblem(place, 'a service extends itself in the end')
    }
    const next = { context, chain: [...chain, step] }
    const resolved = await resolveBase(base, config, parsed, { ...next, place })
    const target = ['services', name]
    return {
      service: mergeService(withoutPaths(resolved.service, resetsOf(name, parsed)), own),
      locations: config.locations.extend(resolved.locations, ['services', base.service], target),
    }
  } catch (thrown) {
    throw located(thrown, config.locations)
  }
}

/** Where the file takes values of the service's base away. */
const resetsOf = (name: string, { resets }: ParsedFile): Path[] =>
  resets
    .filter(([section, service]) => section === 'services' && service === name)
    .map((path) => path.slice(2))

const resolveBase = async (
  { service, file }: NonNullable<ServiceConfig['extends']>,
  config: StackConfig,
  parsed: ParsedFile,
  { context, chain, place }: Chain & { place: string[] },
): Promise<Resolved> => {
  if (file === undefined) {
    if (!Object.hasOwn(config.services, service)) {
      throw new StackFileProblem(place, `there is no service ${service} in this file`)
    }
    return resolveService(service, config, parsed, { context, chain })
  }
  const absolute = path.resolve(context.projectDir, file)
  const text = await readNamed(context.io, absolute, file, place)
  const other = parseStackFile(file, text)
  const inner = { ...context, projectDir: path.dirname(absolute) }
  const needed = onlyServices(other, service)
  if (needed === undefined) {
    throw new StackFileProblem(place, `there is no service ${service} in ${file}`)
  }
  context.roots.push(needed.root)
  const read = readStackFile(needed, inner)
  return resolveService(service, read, needed, { context: inner, chain })
}

/** The file with only `service` and those of the file that it extends: the others may need variables that nobody has set. */
const onlyServices = (parsed: ParsedFile, service: string): ParsedFile | undefined => {
  const services = entry(parsed.root, 'services')
  if (!isMap(services) || entry(services, service) === undefined) return undefined
  const needed = new Set<string>()
  for (let name: string | undefined = service; name !== undefined && !needed.has(name); ) {
    needed.add(name)
    const definition: Value | undefined = entry(services, name)
    name = isMap(definition) ? siblingOf(definition) : undefined
  }
  const kept = Object.fromEntries(Object.entries(services).filter(([name]) => needed.has(name)))
  return { ...parsed, root: { services: kept } }
}

const siblingOf = (service: ValueMap): string | undefined => {
  const base = entry(service, 'extends')
  if (typeof base === 'string') return base
  if (!isMap(base) || entry(base, 'file') !== undefined) return undefined
  const name = entry(base, 'service')
  return typeof name === 'string' ? name : undefined
}
