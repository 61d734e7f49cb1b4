import path from 'node:path/posix'
import { SwarmctlError } from '../api/errors.ts'
import type { ServiceConfig, StackConfig } from './config.ts'
import { type Environment, interpolate, lookupIn } from './interpolate/interpolate.ts'
import { mergeConfigs } from './merge.ts'
import { parseEnvFile } from './parse/env-file.ts'
import { Fields } from './read/fields.ts'
import { readFileObject, readNetwork, readVolume } from './read/objects.ts'
import type { ReadContext } from './read/read-context.ts'
import { readService } from './read/service.ts'
import { fileSchema } from './schema/file-schema.ts'
import type { FileVersion } from './schema/schema.ts'
import { type Problem, validate } from './schema/validate.ts'
import { fileVersion } from './schema/version.ts'
import { inFile, stackFileError } from './stack-error.ts'
import { pathText, type ValueMap } from './value.ts'
import { forbiddenKey, keyWarnings, type StackWarning } from './warnings.ts'
import { parseYaml } from './yaml/parse.ts'

/** How this module reaches files. Paths are absolute; a rejection's message is shown to the user. */
export interface StackFiles {
  readText(path: string): Promise<string>
  readBytes(path: string): Promise<Uint8Array>
}

/** What `loadStack` reads. */
export interface LoadStackOptions {
  /** As `-c` names them, later over earlier; `-` is `stdin`. */
  files: readonly string[]
  /** The text that `-` stands for. */
  stdin?: string
  env: Environment
  /** The process's working directory, absolute. */
  workdir: string
  io: StackFiles
}

/** A stack's configuration and what it says that a deployment will not do. */
export interface LoadedStack {
  config: StackConfig
  warnings: StackWarning[]
}

/**
 * Reads stack files as `docker stack` does: first YAML document, forbidden keys, variables, schema of the file's version, env files,
 * merge. Needs no cluster. Thrown: SwarmctlError INVALID_ARGUMENT, naming file and key.
 */
export const loadStack = async (options: LoadStackOptions): Promise<LoadedStack> => {
  const [first] = options.files
  if (first === undefined) {
    throw new SwarmctlError('INVALID_ARGUMENT', 'specify a stack file (with --compose-file)')
  }
  const projectDir =
    options.files.length === 1 && first === '-'
      ? options.workdir
      : path.dirname(path.resolve(options.workdir, first))
  const parsed = await Promise.all(options.files.map((file) => parseFile(file, options)))
  const version = commonVersion(parsed)
  const notes: StackWarning[] = []
  const context: ReadContext = {
    version,
    env: options.env,
    projectDir,
    note: (text) => void notes.push({ kind: 'note', text }),
  }
  const configs: StackConfig[] = []
  for (const { file, root } of parsed) {
    const config = inFile(file, () => readFile(file, root, context))
    configs.push(await resolveEnvironments(config, context, options.io))
  }
  const warnings = [...keyWarnings(parsed.map(({ root }) => root)), ...notes]
  return { config: mergeConfigs(configs), warnings }
}

interface ParsedFile {
  file: string
  root: ValueMap
}

const parseFile = async (file: string, options: LoadStackOptions): Promise<ParsedFile> => {
  const text =
    file === '-'
      ? (options.stdin ?? '')
      : await reading(file, options.io.readText(path.resolve(options.workdir, file)))
  return { file, root: inFile(file, () => parseYaml(text)) }
}

const reading = async <T>(file: string, read: Promise<T>): Promise<T> => {
  try {
    return await read
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw stackFileError(file, `cannot be read: ${reason}`, cause)
  }
}

const commonVersion = (parsed: readonly ParsedFile[]): FileVersion => {
  const [first, ...others] = parsed.map(({ file, root }) => ({
    file,
    version: inFile(file, () => fileVersion(root)),
  }))
  const other = others.find(({ version }) => version !== first?.version)
  if (first === undefined || other === undefined) return first?.version ?? '3.13'
  throw stackFileError(
    other.file,
    `version mismatched between two composefiles : ${first.version} and ${other.version}`,
  )
}

const readFile = (file: string, root: ValueMap, context: ReadContext): StackConfig => {
  refuseForbidden(file, root)
  const tree = interpolate(root, context.env)
  const { problems, ignored } = validate(fileSchema, tree, context.version)
  if (problems.length > 0) throw problemsError(file, problems)
  for (const key of ignored) context.note(`${pathText(key)} is ignored`)
  const fields = new Fields(tree, [])
  const section = (key: string) => fields.fields(key) ?? new Fields({}, [key])
  return {
    version: context.version,
    files: [file],
    services: section('services').each((service) => readService(service, context)),
    networks: section('networks').each((network, key) => readNetwork(network, key, context)),
    volumes: section('volumes').each((volume, key) => readVolume(volume, key, context)),
    secrets: section('secrets').each((one, key) => readFileObject(one, key, 'secret', context)),
    configs: section('configs').each((one, key) => readFileObject(one, key, 'config', context)),
    extensions: fields.rest((key) => key.startsWith('x-')) ?? {},
  }
}

const refuseForbidden = (file: string, root: ValueMap): void => {
  const forbidden = forbiddenKey(root)
  if (forbidden === undefined) return
  const { service, key, remedy } = forbidden
  throw stackFileError(file, `services.${service}.${key} is not supported: ${remedy}`)
}

const PROBLEMS_SHOWN_MAX = 10

const problemsError = (file: string, problems: readonly Problem[]): SwarmctlError => {
  const lines = problems
    .slice(0, PROBLEMS_SHOWN_MAX)
    .map(({ path: place, text }) => `${pathText(place)} ${text}`)
  const more = problems.length - lines.length
  if (more > 0) lines.push(`and ${more} more problems`)
  return stackFileError(file, lines.join(`\n${file}: `))
}

/** Variables of env files under those of `environment`; a variable without value takes the environment's. */
const resolveEnvironments = async (
  config: StackConfig,
  context: ReadContext,
  io: StackFiles,
): Promise<StackConfig> => {
  const services: Record<string, ServiceConfig> = {}
  for (const [name, service] of Object.entries(config.services)) {
    const place = `${config.files[0]}: services.${name}.env_file`
    services[name] = await resolveEnvironment(service, context, io, place)
  }
  return { ...config, services }
}

const resolveEnvironment = async (
  service: ServiceConfig,
  context: ReadContext,
  io: StackFiles,
  place: string,
): Promise<ServiceConfig> => {
  const lookup = lookupIn(context.env)
  const variables: Record<string, string | null> = {}
  for (const envFile of service.env_file ?? []) {
    const file = `${place}: ${envFile}`
    const text = await reading(file, io.readText(path.resolve(context.projectDir, envFile)))
    try {
      Object.assign(variables, Object.fromEntries(parseEnvFile(text, lookup)))
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw stackFileError(file, `is not valid: ${reason}`, cause)
    }
  }
  Object.assign(variables, service.environment)
  if (service.env_file === undefined && service.environment === undefined) return service
  const environment = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, value || (lookup(name) ?? value)]),
  )
  return { ...service, environment }
}
