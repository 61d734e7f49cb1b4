import type { ConfigSpec } from '../../api/config.ts'
import type { NetworkCreate } from '../../api/network.ts'
import type { SecretSpec } from '../../api/secret.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'

/** The Engine API's create requests of one stack, each list in the order of names. */
export interface StackBodies {
  networks: NetworkCreate[]
  secrets: SecretSpec[]
  configs: ConfigSpec[]
  services: ServiceSpec[]
}

/** A stack's create requests, and the names of what it uses and does not create. */
export interface ConvertedStack extends StackBodies {
  /** Names of networks that must exist in the cluster; node-local ones such as `host` are left out. */
  externalNetworks: string[]
  externalSecrets: string[]
  externalConfigs: string[]
}
