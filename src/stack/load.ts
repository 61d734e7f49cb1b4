import path from 'node:path/posix'
import { SwarmctlError } from '../api/errors.ts'
import type { StackConfig } from './config.ts'
import type { Environment } from './interpolate/interpolate.ts'
import { Locations } from './location.ts'
import { withDotEnv, withEnvFiles } from './source/environment.ts'
import { withProfiles } from './source/profiles.ts'
import { loadProject } from './source/project.ts'
import { type ParsedFile, parseStackFile } from './source/stack-file.ts'
import { decodeText, type StackFiles } from './source/stack-files.ts'
import { inFileAsync, reasonOf, stackFileError } from './stack-error.ts'
import { entry, type ValueMap } from './value.ts'
import { keyWarnings, type StackWarning } from './warnings.ts'

/** What `loadStack` reads. */
export interface LoadStackOptions {
  /** As `-c` names them, later over earlier; `-` is `stdin`. */
  files: readonly string[]
  /** What `-` stands for. */
  stdin?: Uint8Array
  env: Environment
  /** Files of variables under `env`; without any, `.env` beside the first stack file where there is one. */
  envFiles?: readonly string[]
  /** Active profiles besides those of COMPOSE_PROFILES; `*` is all. */
  profiles?: readonly string[]
  /** Variables stay as they stand, except in what names the files to include. */
  skipInterpolation?: boolean
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
 * Reads stack files as `docker stack` does, and what the Compose Specification has besides: first YAML document, forbidden keys,
 * variables, schema, `include`, `extends`, env files, merge, profiles. Needs no cluster. Thrown: SwarmctlError INVALID_ARGUMENT, one line
 * that names file, line and key.
 */
export const loadStack = async (options: LoadStackOptions): Promise<LoadedStack> => {
  const { io, workdir } = options
  const [first] = options.files
  if (first === undefined) {
    throw new SwarmctlError('INVALID_ARGUMENT', 'specify a stack file (with --compose-file)')
  }
  const files = await Promise.all(options.files.map((file) => parseFile(file, options)))
  const isStdin = options.files.length === 1 && first === '-'
  const projectDir = isStdin ? workdir : path.dirname(path.resolve(workdir, first))
  const notes: StackWarning[] = []
  const note = (text: string): void => void notes.push({ kind: 'note', text })
  const env = withProjectName(await environmentOf(options, projectDir, note), files)
  const including = options.files.map((file) => path.resolve(workdir, file))
  const roots: ValueMap[] = []
  const { skipInterpolation = false } = options
  const project = { files, projectDir, env, skipInterpolation, io, note, including, roots }
  const config = withProfiles(await loadProject(project), activeProfiles(options, env))
  noteMissing(config, note)
  return { config, warnings: [...keyWarnings(roots), ...notes] }
}

const parseFile = async (file: string, options: LoadStackOptions): Promise<ParsedFile> => {
  try {
    const { stdin = new Uint8Array(), io, workdir } = options
    const text = file === '-' ? decodeText(stdin) : await io.readText(path.resolve(workdir, file))
    return parseStackFile(file, text)
  } catch (thrown) {
    if (thrown instanceof SwarmctlError) throw thrown
    throw stackFileError({ file }, `cannot be read: ${reasonOf(thrown)}`, thrown)
  }
}

const environmentOf = async (
  { env, envFiles = [], io, workdir }: LoadStackOptions,
  projectDir: string,
  note: (text: string) => void,
): Promise<Environment> => {
  if (envFiles.length === 0) return withDotEnv(env, projectDir, { io, note })
  const files = envFiles.map((named) => ({ path: path.resolve(workdir, named), named }))
  return inFileAsync(new Locations('--env-file'), () => withEnvFiles(env, files, [], { io, note }))
}

/** A stack that names itself can use its name. */
const withProjectName = (env: Environment, files: readonly ParsedFile[]): Environment => {
  const name = files.map(({ root }) => entry(root, 'name')).findLast((one) => one !== undefined)
  const isPlain = typeof name === 'string' && !name.includes('$')
  return isPlain ? { COMPOSE_PROJECT_NAME: name, ...env } : env
}

/** As Docker does, which looks at none of them. */
const noteMissing = ({ services }: StackConfig, note: (text: string) => void): void => {
  for (const [name, { depends_on = {} }] of Object.entries(services)) {
    for (const [needed, { condition, required }] of Object.entries(depends_on)) {
      // Those that are waited for are missed when the stack is converted.
      if (condition !== 'service_started' || required === false) continue
      if (Object.hasOwn(services, needed)) continue
      note(`services.${name}.depends_on: ${needed} is ignored: there is no such service`)
    }
  }
}

const activeProfiles = ({ profiles = [] }: LoadStackOptions, env: Environment): string[] => [
  ...profiles,
  ...(env.COMPOSE_PROFILES ?? '').split(',').filter((profile) => profile !== ''),
]
