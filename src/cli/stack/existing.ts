import type { Config } from '../../api/config.ts'
import type { Secret } from '../../api/secret.ts'
import type { Service } from '../../api/service.ts'
import type { ExistingNetwork, ExistingObjects } from '../../stack/plan/plan.ts'
import type { CliContext } from '../context.ts'

/** What the cluster has now. */
export const existingObjects = async ({ client }: CliContext): Promise<ExistingObjects> => {
  const [networks, secrets, configs, services] = await Promise.all([
    client.call<ExistingNetwork[]>({ path: '/networks' }),
    client.call<Secret[]>({ path: '/secrets' }),
    client.call<Config[]>({ path: '/configs' }),
    client.call<Service[]>({ path: '/services' }),
  ])
  return { networks, secrets, configs, services }
}
