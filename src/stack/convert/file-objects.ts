import type { ConfigSpec } from '../../api/config.ts'
import type { SecretSpec } from '../../api/secret.ts'
import type { FileObjectConfig } from '../config.ts'
import { present, sortedEntries } from '../present.ts'
import type { StackFiles } from '../source/stack-files.ts'
import { reasonOf, StackFileProblem } from '../stack-error.ts'
import { clusterName, withStackLabel } from './namespace.ts'

/** The secrets that a stack creates, whether or not a service uses them. */
export const convertSecrets = async (
  secrets: Readonly<Record<string, FileObjectConfig>>,
  namespace: string,
  io: StackFiles,
): Promise<SecretSpec[]> => {
  const bodies: SecretSpec[] = []
  for (const [key, secret] of ownObjects(secrets)) {
    const driver = secret.driver
    bodies.push(
      present<SecretSpec>({
        ...(await annotatedData(['secrets', key], secret, namespace, io)),
        Driver:
          driver === undefined
            ? undefined
            : present<{ Name: string; Options?: Record<string, string> }>({
                Name: driver,
                Options: secret.driver_opts,
              }),
        Templating: templating(secret),
      }),
    )
  }
  return bodies
}

/** The configs that a stack creates, whether or not a service uses them. */
export const convertConfigs = async (
  configs: Readonly<Record<string, FileObjectConfig>>,
  namespace: string,
  io: StackFiles,
): Promise<ConfigSpec[]> => {
  const bodies: ConfigSpec[] = []
  for (const [key, config] of ownObjects(configs)) {
    const body = await annotatedData(['configs', key], config, namespace, io)
    bodies.push(present<ConfigSpec>({ ...body, Templating: templating(config) }))
  }
  return bodies
}

const ownObjects = (
  objects: Readonly<Record<string, FileObjectConfig>>,
): [string, FileObjectConfig][] =>
  sortedEntries(objects).filter(([, object]) => object.external !== true)

const templating = ({ template_driver: name }: FileObjectConfig): { Name: string } | undefined =>
  name === undefined ? undefined : { Name: name }

const annotatedData = async (
  place: [section: string, key: string],
  object: FileObjectConfig,
  namespace: string,
  io: StackFiles,
): Promise<{ Name: string; Labels: Record<string, string>; Data: string }> => ({
  Name: clusterName(namespace, place[1], object),
  Labels: withStackLabel(namespace, object.labels),
  Data: await dataOf(object, place, io),
})

const dataOf = async (
  { file, environment, data, content }: FileObjectConfig,
  place: string[],
  io: StackFiles,
): Promise<string> => {
  if (file !== undefined) return readBase64(file, [...place, 'file'], io)
  if (environment === undefined) return base64(content ?? '')
  if (data !== undefined) return base64(data)
  throw new StackFileProblem([...place, 'environment'], `the variable ${environment} is not set`)
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

const readBase64 = async (file: string, place: string[], io: StackFiles): Promise<string> => {
  try {
    return Buffer.from(await io.readBytes(file)).toString('base64')
  } catch (cause) {
    throw new StackFileProblem(place, `cannot read ${file}: ${reasonOf(cause)}`, { cause })
  }
}
