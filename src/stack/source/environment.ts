import path from 'node:path/posix'
import type { FileObjectConfig, ServiceConfig, StackConfig } from '../config.ts'
import { type Environment, lookupIn } from '../interpolate/interpolate.ts'
import { parseDotEnv } from '../parse/dotenv.ts'
import { parseEnvFile } from '../parse/env-file.ts'
import type { ReadContext } from '../read/read-context.ts'
import { inFileAsync, reasonOf, StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'
import { readNamed, type StackFiles } from './stack-files.ts'

/** What filling in needs. */
export interface EnvironmentContext extends ReadContext {
  io: StackFiles
}

/** The variables of `.env` in `projectDir`, where there is one, under those of `env`. Lines of no sense are noted. */
export const withDotEnv = async (
  env: Environment,
  projectDir: string,
  { io, note }: Pick<EnvironmentContext, 'io' | 'note'>,
): Promise<Environment> => {
  let text: string
  try {
    text = await io.readText(path.join(projectDir, '.env'))
  } catch {
    // It need not be there, and Docker would not have looked for it.
    return env
  }
  return over(env, '.env', text, note)
}

/** The variables of the named files, later ones over earlier ones, under those of `env`. Thrown: StackFileProblem. */
export const withEnvFiles = async (
  env: Environment,
  files: readonly { path: string; named: string }[],
  place: Path,
  { io, note }: Pick<EnvironmentContext, 'io' | 'note'>,
): Promise<Environment> => {
  let result = env
  for (const { path: file, named } of files.toReversed()) {
    result = over(result, named, await readNamed(io, file, named, place), note)
  }
  return result
}

const over = (
  env: Environment,
  file: string,
  text: string,
  note: (text: string) => void,
): Environment => {
  const { variables, ignoredLines } = parseDotEnv(text, env)
  for (const line of ignoredLines) note(`${file}:${line}: is ignored: it is not KEY=value`)
  return { ...variables, ...env }
}

/** Services with what env files, label files and seccomp profiles say. Thrown: SwarmctlError, naming file, line and key. */
export const resolveEnvironments = async (
  config: StackConfig,
  context: EnvironmentContext,
): Promise<StackConfig> => {
  const services = new Map<string, ServiceConfig>()
  for (const [name, service] of Object.entries(config.services)) {
    const resolve = () => resolveService(service, ['services', name], context)
    services.set(name, await inFileAsync(config.locations, resolve))
  }
  return {
    ...config,
    services: Object.fromEntries(services),
    secrets: withVariables(config.secrets, context.env),
    configs: withVariables(config.configs, context.env),
  }
}

/** Secrets and configs whose data is a variable's. */
const withVariables = (
  objects: Readonly<Record<string, FileObjectConfig>>,
  env: Environment,
): Record<string, FileObjectConfig> =>
  Object.fromEntries(
    Object.entries(objects).map(([key, object]) => {
      const data = object.environment ? lookupIn(env)(object.environment) : undefined
      return [key, data === undefined ? object : { ...object, data }]
    }),
  )

const resolveService = async (
  service: ServiceConfig,
  place: Path,
  context: EnvironmentContext,
): Promise<ServiceConfig> => {
  const environment = await resolveEnvironment(service, [...place, 'env_file'], context)
  const labels = await resolveLabels(service, [...place, 'label_file'], context)
  const security = await resolveProfiles(service, [...place, 'security_opt'], context)
  return { ...service, ...environment, ...labels, ...security }
}

/** Variables of env files under those of `environment`; a variable without value takes the environment's. */
const resolveEnvironment = async (
  service: ServiceConfig,
  place: Path,
  { env, io }: EnvironmentContext,
): Promise<Pick<ServiceConfig, 'environment'>> => {
  if (service.env_file === undefined && service.environment === undefined) return {}
  const lookup = lookupIn(env)
  // A map: no name of a variable means something to it.
  const variables = new Map<string, string | null>()
  for (const { path: file, written, required, format } of service.env_file ?? []) {
    const text = await readNamed(io, file, written, place).catch((thrown: unknown) => {
      if (required) throw thrown
      return ''
    })
    const read =
      format === 'compose'
        ? readComposeFile(text, written, place, env)
        : readPairs(text, written, place, lookup)
    for (const [name, value] of read) variables.set(name, value)
  }
  for (const [name, value] of Object.entries(service.environment ?? {})) variables.set(name, value)
  const environment = Object.fromEntries(
    [...variables].map(([name, value]) => [name, value || (lookup(name) ?? value)]),
  )
  return { environment }
}

const readComposeFile = (
  text: string,
  named: string,
  place: Path,
  env: Environment,
): [name: string, value: string][] => {
  const { variables, ignoredLines } = parseDotEnv(text, env)
  const [line] = ignoredLines
  if (line === undefined) return Object.entries(variables)
  throw new StackFileProblem(place, `${named}: is not valid: line ${line} is not KEY=value`)
}

const readPairs = (
  text: string,
  named: string,
  place: Path,
  lookup: (name: string) => string | undefined,
): Map<string, string> => {
  try {
    return parseEnvFile(text, lookup)
  } catch (cause) {
    const problem = `${named}: is not valid: ${reasonOf(cause)}`
    throw new StackFileProblem(place, problem, { cause })
  }
}

const resolveLabels = async (
  { label_file, labels }: ServiceConfig,
  place: Path,
  { io }: EnvironmentContext,
): Promise<Pick<ServiceConfig, 'labels'>> => {
  if (label_file === undefined) return {}
  const read: [name: string, value: string][] = []
  for (const file of label_file) {
    const text = await readNamed(io, file, file, place)
    read.push(...readPairs(text, file, place, () => undefined))
  }
  return { labels: { ...Object.fromEntries(read), ...labels } }
}

/** A seccomp profile goes to the Engine as its text, as `docker run` sends it. */
const resolveProfiles = async (
  { security_opt }: ServiceConfig,
  place: Path,
  { io, projectDir }: EnvironmentContext,
): Promise<Pick<ServiceConfig, 'security_opt'>> => {
  if (security_opt === undefined) return {}
  const resolved: string[] = []
  for (const option of security_opt) {
    const profile = /^seccomp[=:](.*)$/s.exec(option)?.[1]
    if (profile === undefined || /^(unconfined|builtin|\s*\{.*)$/s.test(profile)) {
      resolved.push(option)
      continue
    }
    const text = await readNamed(io, path.resolve(projectDir, profile), profile, place)
    resolved.push(`seccomp=${compact(text, profile, place)}`)
  }
  return { security_opt: resolved }
}

const compact = (text: string, named: string, place: Path): string => {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch (cause) {
    throw new StackFileProblem(place, `${named}: is no JSON: ${reasonOf(cause)}`, { cause })
  }
}
