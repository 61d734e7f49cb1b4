import type { ServiceSpec } from '../../api/service-spec.ts'
import { parseServiceSpec } from '../../api/validate/service.ts'
import type { StackConfig } from '../config.ts'
import { inFile, StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'
import type { StackBodies } from './bodies.ts'
import { clusterName } from './namespace.ts'

/** Which key of a service a manager's words are about; of all else the service is named. */
const KEYS: readonly [words: RegExp, key: Path][] = [
  [/\bupdate\b/, ['deploy', 'update_config']],
  [/\brollback\b/, ['deploy', 'rollback_config']],
  [/RestartCondition/, ['deploy', 'restart_policy', 'condition']],
  [/^constraint\b/, ['deploy', 'placement', 'constraints']],
  [/^invalid resolution mode/, ['deploy', 'endpoint_mode']],
  [/^EndpointSpec/, ['ports']],
  [/\bsysctl\b/, ['sysctls']],
  [/^invalid mount/, ['volumes']],
]

/**
 * Refuses where it stands what a manager would refuse whatever the cluster is, when half of the stack is there already. Docker's CLI sends it; so a
 * conversion alone lets it pass. Thrown: SwarmctlError INVALID_ARGUMENT, naming file, line, key and the manager's reason.
 */
export const requireAccepted = (
  { services }: Pick<StackBodies, 'services'>,
  config: StackConfig,
  namespace: string,
): void => {
  const specs = new Map(services.map((spec) => [spec.Name, spec]))
  inFile(config.locations, () => {
    for (const key of Object.keys(config.services)) {
      const spec = specs.get(clusterName(namespace, key))
      if (spec !== undefined) requireAcceptedService(spec, ['services', key])
    }
  })
}

const requireAcceptedService = (spec: ServiceSpec, place: Path): void => {
  try {
    parseServiceSpec(spec)
  } catch (cause) {
    const { message } = cause as Error
    const key = KEYS.find(([words]) => words.test(message))?.[1] ?? []
    throw new StackFileProblem([...place, ...key], message, { cause })
  }
}
