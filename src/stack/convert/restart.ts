import type { RestartPolicy } from '../../api/service-spec.ts'
import type { RestartPolicyConfig } from '../config.ts'
import { present } from '../present.ts'

/** `deploy.restart_policy`, else the policy that the short `restart` means. Thrown: an Error for a `restart` of no meaning. */
export const convertRestartPolicy = (
  restart: string | undefined,
  policy: RestartPolicyConfig | undefined,
): RestartPolicy | undefined => {
  if (policy !== undefined) {
    return present<RestartPolicy>({
      // Any text passes: the manager refuses what it does not know, as Swarm's does.
      Condition: (policy.condition || undefined) as RestartPolicy['Condition'],
      Delay: policy.delay,
      MaxAttempts: policy.max_attempts,
      Window: policy.window,
    })
  }
  if (restart === undefined || restart === '') return undefined
  const [, name, count] = /^([a-z-]+)(?::(.*))?$/.exec(restart) ?? []
  if (count !== undefined && !/^[0-9]+$/.test(count)) {
    throw new Error(`invalid restart policy "${restart}": the retry count must be a number`)
  }
  const maxAttempts = Number(count ?? 0)
  switch (name) {
    case 'no':
      return undefined
    case 'always':
    case 'unless-stopped':
      return present<RestartPolicy>({ Condition: 'any', MaxAttempts: maxAttempts || undefined })
    case 'on-failure':
      // 0 is without limit; the docker CLI sends it.
      return { Condition: 'on-failure', MaxAttempts: maxAttempts }
    default:
      throw new Error(
        `invalid restart policy "${restart}": use no, always, unless-stopped or on-failure[:count]`,
      )
  }
}
