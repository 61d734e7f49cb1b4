import path from 'node:path/posix'
import { isDeepStrictEqual } from 'node:util'
import type { StackConfig } from '../config.ts'
import { interpolate } from '../interpolate/interpolate.ts'
import { mergeConfigs } from '../merge.ts'
import { inFileAsync, located, StackFileProblem } from '../stack-error.ts'
import { entry, isMap, type Value } from '../value.ts'
import { resolveEnvironments, withDotEnv, withEnvFiles } from './environment.ts'
import { type ExtendsContext, resolveExtends } from './extends.ts'
import { type ParsedFile, parseStackFile, readStackFile } from './stack-file.ts'
import { readNamed } from './stack-files.ts'

/** Stack files that are one project: those of `-c`, or those of one `include`. */
export interface Project extends ExtendsContext {
  /** Parsed, later ones over earlier ones. */
  files: readonly ParsedFile[]
  /** Absolute paths of the files on the way here. */
  including: readonly string[]
}

/** Files that may include each other in a chain; more is a mistake. */
const INCLUDE_DEPTH_MAX = 16

/** One configuration of all files, with what they include and extend. Thrown: SwarmctlError, naming file, line and key. */
export const loadProject = async (project: Project): Promise<StackConfig> => {
  project.roots.push(...project.files.map(({ root }) => root))
  const configs: StackConfig[] = []
  for (const parsed of project.files) {
    const included = await inFileAsync(parsed.locations, () => loadIncluded(parsed, project))
    const read = await resolveExtends(readStackFile(parsed, project), parsed, project)
    const own = await resolveEnvironments(read, project)
    configs.push(included.reduce((config, other) => imported(config, other), own))
  }
  return mergeConfigs(configs)
}

const loadIncluded = async (parsed: ParsedFile, project: Project): Promise<StackConfig[]> => {
  const include = entry(parsed.root, 'include')
  if (!Array.isArray(include)) return []
  // Its variables are needed before the rest of the file can be read, which notes what is to be noted of them.
  const { include: entries } = interpolate({ include }, { env: project.env, note: () => {} })
  const configs: StackConfig[] = []
  for (const [index, item] of (entries as Value[]).entries()) {
    const read = readEntry(item)
    // The schema says what is wrong with it.
    if (read === undefined) continue
    configs.push(await loadEntry(read, ['include', index], project))
  }
  return configs
}

interface Entry {
  paths: string[]
  envFiles: string[] | undefined
  projectDirectory: string | undefined
}

const readEntry = (item: Value): Entry | undefined => {
  if (typeof item === 'string')
    return { paths: [item], envFiles: undefined, projectDirectory: undefined }
  if (!isMap(item)) return undefined
  const paths = texts(entry(item, 'path'))
  if (paths === undefined || paths.length === 0) return undefined
  const directory = entry(item, 'project_directory')
  return {
    paths,
    envFiles: texts(entry(item, 'env_file')),
    projectDirectory: typeof directory === 'string' ? directory : undefined,
  }
}

const texts = (value: Value | undefined): string[] | undefined =>
  value === undefined ? undefined : (Array.isArray(value) ? value : [value]).map(String)

const loadEntry = async (
  { paths, envFiles, projectDirectory }: Entry,
  place: (string | number)[],
  project: Project,
): Promise<StackConfig> => {
  const { io, note } = project
  const absolute = paths.map((file) => localPath(file, place, project))
  const [first = ''] = absolute
  if (project.including.length >= INCLUDE_DEPTH_MAX || project.including.includes(first)) {
    throw new StackFileProblem(place, `${paths[0]} includes itself in the end`)
  }
  const files: ParsedFile[] = []
  for (const [index, file] of absolute.entries()) {
    const named = paths[index] ?? file
    files.push(parseStackFile(named, await readNamed(io, file, named, place)))
  }
  const projectDir =
    projectDirectory === undefined
      ? path.dirname(first)
      : path.resolve(project.projectDir, projectDirectory)
  const named = envFiles?.map((file) => ({
    path: path.resolve(project.projectDir, file),
    named: file,
  }))
  const env =
    named === undefined
      ? await withDotEnv(project.env, projectDir, { io, note })
      : await withEnvFiles(project.env, named, place, { io, note })
  const including = [...project.including, first]
  return loadProject({ ...project, files, projectDir, env, including })
}

const localPath = (file: string, place: (string | number)[], { projectDir }: Project): string => {
  if (/^(https?|git|ssh|oci):|^git@|\.git(#|$)/.test(file)) {
    throw new StackFileProblem(place, `${file}: only files of this machine can be included`)
  }
  return path.resolve(projectDir, file)
}

const SECTIONS = ['services', 'networks', 'volumes', 'secrets', 'configs'] as const

/** A file's configuration with what it includes; the same name with another content in both is a mistake. */
const imported = (own: StackConfig, included: StackConfig): StackConfig => {
  const merged = { ...own, locations: included.locations.over(own.locations) }
  for (const section of SECTIONS) {
    const conflict = Object.keys(included[section]).find(
      (name) =>
        Object.hasOwn(own[section], name) &&
        !isDeepStrictEqual(own[section][name], included[section][name]),
    )
    if (conflict !== undefined) {
      const text = 'is defined by an included file as well, and not in the same way'
      throw located(new StackFileProblem([section, conflict], text), own.locations)
    }
    Object.assign(merged, { [section]: { ...included[section], ...own[section] } })
  }
  return merged
}
