import type { FileObjectConfig, FileReference, ServiceConfig, StackConfig } from '../config.ts'
import { compareText } from '../present.ts'
import type { StackFiles } from '../source/stack-files.ts'
import { inFileAsync, stackFileError } from '../stack-error.ts'
import type { ConvertedStack } from './bodies.ts'
import { convertConfigs, convertSecrets } from './file-objects.ts'
import { convertNetworks } from './networks.ts'
import { convertService } from './service.ts'

/** A stack's name, as the docker CLI checks it. */
const STACK_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/

/**
 * The Engine API's create requests for a stack called `namespace`. Reads the secrets' and configs' files, needs no cluster: ids of secrets
 * and configs are placeholders until `bindReferences`. Thrown: SwarmctlError INVALID_ARGUMENT, naming file and key.
 */
export const convertStack = async (
  config: StackConfig,
  namespace: string,
  io: StackFiles,
): Promise<ConvertedStack> => {
  if (!STACK_NAME.test(namespace)) {
    const text = 'a name has letters, digits, ".", "_" and "-"'
    throw stackFileError({ file: `stack "${namespace}"` }, text)
  }
  const keys = Object.keys(config.services).sort(compareText)
  return inFileAsync(config.locations, async () => {
    const services = keys.map((key) => convertService(key, config, namespace))
    const { networks, externalNetworks } = convertNetworks(config, namespace)
    return {
      networks,
      secrets: await convertSecrets(config.secrets, namespace, io),
      configs: await convertConfigs(config.configs, namespace, io),
      services,
      externalNetworks,
      externalSecrets: externalNames(
        config.secrets,
        used(config, (service) => service.secrets),
      ),
      externalConfigs: externalNames(config.configs, used(config, usedConfigs)),
    }
  })
}

const usedConfigs = (service: ServiceConfig): FileReference[] => {
  const credential = service.credential_spec?.config
  return [...(service.configs ?? []), ...(credential ? [{ source: credential }] : [])]
}

const used = (
  config: StackConfig,
  references: (service: ServiceConfig) => FileReference[] | undefined,
): Set<string> =>
  new Set(
    Object.values(config.services).flatMap((service) =>
      (references(service) ?? []).map(({ source }) => source),
    ),
  )

const externalNames = (
  objects: Readonly<Record<string, FileObjectConfig>>,
  sources: ReadonlySet<string>,
): string[] =>
  Object.entries(objects)
    .flatMap(([key, object]) =>
      object.external === true && sources.has(key) ? [object.name ?? key] : [],
    )
    .sort(compareText)
