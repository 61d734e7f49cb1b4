import type { Config } from '../api/config.ts'
import { invalid, SwarmctlError } from '../api/errors.ts'
import type { Secret } from '../api/secret.ts'
import type { ConfigReference, SecretReference } from '../api/service-spec.ts'
import type { Task } from '../api/task.ts'
import { expandTemplate, type TemplateContext } from '../api/task-template.ts'
import { lacksCredentials } from './agent-disk.ts'

/** One file that a task's container gets. */
export interface TaskFile {
  /** Absolute path in the container. */
  target: string
  data: Uint8Array
  /** Permission bits. */
  mode: number
  uid: number
  gid: number
}

/** The files as they lie on the node, in the order of `TaskFile`s: what is mounted where. */
export interface TaskFiles {
  mounts: { source: string; target: string }[]
}

/** Keeps tasks' files in memory, never on a disk. */
export interface FileStore {
  open(): Promise<void>
  write(taskId: string, files: readonly TaskFile[]): Promise<TaskFiles>
  remove(taskId: string): Promise<void>
  /** Removes what belongs to other tasks than these: left by a daemon that ended meanwhile. */
  keepOnly(taskIds: ReadonlySet<string>): Promise<void>
  destroy(): Promise<void>
}

/** Secrets and configs that have arrived, by id. */
export interface Dependencies {
  secrets: ReadonlyMap<string, Secret>
  configs: ReadonlyMap<string, Config>
}

const secretReferences = (task: Task): (SecretReference & { File: object })[] =>
  (task.Spec.ContainerSpec?.Secrets ?? []).filter((r) => r.File !== undefined) as never

const configReferences = (task: Task): (ConfigReference & { File: object })[] =>
  // A config with `Runtime` is read by the Engine's own features, and is no file.
  (task.Spec.ContainerSpec?.Configs ?? []).filter((r) => r.File !== undefined) as never

/**
 * Whether all that the task refers to is here. What is not comes with the managers' next word; once they have told everything (`isAllTold`: a task and
 * what it needs are told together) they do not have it any more, and `dependencyMissing` says so in moby's words (`daemon/container_operations_unix.go`).
 */
export const dependencyState = (
  task: Task,
  { secrets, configs }: Dependencies,
  isAllTold: boolean,
): { dependenciesHere: boolean; dependencyMissing: string } => {
  const noSecret = secretReferences(task).find(({ SecretID }) => !secrets.has(SecretID))
  const noConfig = configReferences(task).find(({ ConfigID }) => !configs.has(ConfigID))
  const missing =
    (noSecret && `unable to get secret from secret store: secret ${noSecret.SecretID} not found`) ??
    (noConfig && `unable to get config from config store: config ${noConfig.ConfigID} not found`)
  // A pull without its credentials would be refused, and the task rejected for it.
  const isPullable = isAllTold || !lacksCredentials(task)
  return {
    dependenciesHere: missing === undefined && isPullable,
    dependencyMissing: isAllTold ? (missing ?? '') : '',
  }
}

const absolute = (name: string, directory: string): string =>
  name.startsWith('/') ? name : `${directory}${name}`

const numericId = (value: string, what: string): number => {
  if (!/^\d+$/.test(value)) throw invalid(`${what} must be a number, not "${value}"`)
  return Number(value)
}

const secretData = (secret: Secret): Buffer => {
  if (secret.Spec.Data === undefined)
    throw new SwarmctlError(
      'UNIMPLEMENTED',
      `secret ${secret.Spec.Name} has no data: external secret drivers are not supported`,
    )
  return Buffer.from(secret.Spec.Data, 'base64')
}

/** Reads `A=b` lists; what comes later wins, as in a container. */
const environment = (task: Task): Map<string, string> =>
  new Map(
    (task.Spec.ContainerSpec?.Env ?? []).map((line) => {
      const equals = line.indexOf('=')
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)]
    }),
  )

/** The functions of a templated secret or config: `env "A"`, and `secret "x"`, `config "y"` by the name that the task mounts them as. */
const payloadFunctions = (task: Task, deps: Dependencies, context: TemplateContext) => ({
  env: (name: string): string => expandTemplate(environment(task).get(name) ?? '', context),
  secret: (name: string): string => {
    const reference = secretReferences(task).find(
      (r) => r.File?.Name === name || r.SecretName === name,
    )
    const secret = deps.secrets.get(reference?.SecretID ?? '')
    if (secret === undefined) throw invalid(`secret "${name}" is not one of the task's`)
    return secretData(secret).toString('utf8')
  },
  config: (name: string): string => {
    const reference = configReferences(task).find(
      (r) => r.File?.Name === name || r.ConfigName === name,
    )
    const config = deps.configs.get(reference?.ConfigID ?? '')
    if (config === undefined) throw invalid(`config "${name}" is not one of the task's`)
    return Buffer.from(config.Spec.Data, 'base64').toString('utf8')
  },
})

/**
 * The files of a task's secrets (default `/run/secrets/<name>`) and configs (default `/<name>`), templates filled in.
 * @throws SwarmctlError for a template or owner that can't be; its text never holds content of a secret
 */
export const taskFiles = (task: Task, deps: Dependencies, context: TemplateContext): TaskFile[] => {
  const functions = payloadFunctions(task, deps, context)
  const fill = (what: string, data: Buffer, templating: { Name: string } | undefined): Buffer => {
    if (templating === undefined || templating.Name === '') return data
    if (templating.Name !== 'golang')
      throw invalid(`${what}: unknown template driver "${templating.Name}"`)
    try {
      return Buffer.from(expandTemplate(data.toString('utf8'), context, functions))
    } catch (error) {
      throw invalid(`${what}: expanding the template failed: ${(error as Error).message}`)
    }
  }
  const owner = (file: { UID: string; GID: string; Mode: number }, what: string) => ({
    mode: file.Mode,
    uid: numericId(file.UID, `${what}: UID`),
    gid: numericId(file.GID, `${what}: GID`),
  })
  const secrets = secretReferences(task).map(({ File, SecretID, SecretName }) => {
    const what = `secret ${SecretName}`
    const secret = deps.secrets.get(SecretID)
    if (secret === undefined || File === undefined) throw invalid(`${what} is not here`)
    return {
      target: absolute(File.Name, '/run/secrets/'),
      data: fill(what, secretData(secret), secret.Spec.Templating),
      ...owner(File, what),
    }
  })
  const configs = configReferences(task).map(({ File, ConfigID, ConfigName }) => {
    const what = `config ${ConfigName}`
    const config = deps.configs.get(ConfigID)
    if (config === undefined || File === undefined) throw invalid(`${what} is not here`)
    return {
      target: absolute(File.Name, '/'),
      data: fill(what, Buffer.from(config.Spec.Data, 'base64'), config.Spec.Templating),
      ...owner(File, what),
    }
  })
  return [...secrets, ...configs]
}
