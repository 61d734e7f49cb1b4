import type { FileObjectConfig, FileReference, ServiceConfig, StackConfig } from '../config.ts'
import type { StackFiles } from '../load.ts'
import { compareText } from '../present.ts'
import { inFile, StackFileProblem, stackFileError } from '../stack-error.ts'
import { pathText } from '../value.ts'
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
    throw stackFileError(`stack "${namespace}"`, 'a name has letters, digits, ".", "_" and "-"')
  }
  const file = config.files.join(', ')
  const keys = Object.keys(config.services).sort(compareText)
  const services = inFile(file, () => keys.map((key) => convertService(key, config, namespace)))
  const { networks, externalNetworks } = convertNetworks(config, namespace)
  try {
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
  } catch (thrown) {
    if (!(thrown instanceof StackFileProblem)) throw thrown
    throw stackFileError(file, `${pathText(thrown.path)}: ${thrown.message}`, thrown)
  }
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
