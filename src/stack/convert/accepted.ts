import type { ServiceSpec } from '../../api/service-spec.ts'
import { parseServiceSpec } from '../../api/validate/service.ts'
import { StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'

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
 * What a manager would refuse whatever the cluster is, when half of the stack is there already, is refused where it stands. Thrown:
 * StackFileProblem in `place`, the service.
 */
export const requireAccepted = (spec: ServiceSpec, place: Path): void => {
  try {
    parseServiceSpec(spec)
  } catch (cause) {
    const { message } = cause as Error
    const key = KEYS.find(([words]) => words.test(message))?.[1] ?? []
    throw new StackFileProblem([...place, ...key], message, { cause })
  }
}
