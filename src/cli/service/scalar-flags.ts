import type { UpdateConfig } from '../../api/service-spec.ts'
import { splitShellWords } from '../../stack/parse/shell-words.ts'
import { AUTOSCALE_FLAGS } from './autoscale-flags.ts'
import { applyCredentialSpec } from './credential-spec-flag.ts'
import type { Draft } from './draft.ts'
import {
  bytes,
  choice,
  count,
  durationNs,
  integer,
  nanoCpus,
  parsed,
  ratio,
} from './flag-values.ts'
import { SCHEDULE_FLAGS } from './schedule-flags.ts'

/** A flag that sets one field, on `create` and on `update` alike. */
export interface ScalarFlag {
  /** As commander takes it: `--limit-cpu <value>`; without a value it is boolean. */
  flags: string
  help: string
  apply(draft: Draft, value: string, flag: string): void
}

const toggle = (
  flags: string,
  help: string,
  set: (draft: Draft, isOn: boolean) => void,
): ScalarFlag => ({ flags, help, apply: (draft, value) => set(draft, Boolean(value)) })

const scalar = (
  flags: string,
  help: string,
  apply: (draft: Draft, value: string, flag: string) => void,
): ScalarFlag => ({ flags, help, apply })

/** Sets a field, or takes it away for undefined. */
const put = <T extends object, K extends keyof T>(
  target: T,
  key: K,
  value: T[K] | undefined,
): void => {
  if (value === undefined) delete target[key]
  else target[key] = value
}

const RESOURCE_FLAGS: ScalarFlag[] = [
  scalar('--limit-cpu <decimal>', 'Most CPUs a task may use', (draft, value, flag) => {
    draft.limits.NanoCPUs = nanoCpus(flag, value)
  }),
  scalar('--limit-memory <bytes>', 'Most memory a task may use', (draft, value, flag) => {
    draft.limits.MemoryBytes = bytes(flag, value)
  }),
  scalar('--limit-pids <n>', 'Most processes of a task (0: no limit)', (draft, value, flag) => {
    draft.limits.Pids = integer(flag, value)
  }),
  scalar('--reserve-cpu <decimal>', 'CPUs kept free for each task', (draft, value, flag) => {
    draft.reservations.NanoCPUs = nanoCpus(flag, value)
  }),
  scalar('--reserve-memory <bytes>', 'Memory kept free for each task', (draft, value, flag) => {
    draft.reservations.MemoryBytes = bytes(flag, value)
  }),
]

const RESTART_FLAGS: ScalarFlag[] = [
  scalar('--restart-condition <when>', 'none, on-failure or any', (draft, value, flag) => {
    put(draft.restart, 'Condition', choice('none', 'on-failure', 'any')(flag, value))
  }),
  scalar('--restart-delay <duration>', 'Pause before a restart', (draft, value, flag) => {
    draft.restart.Delay = durationNs(flag, value)
  }),
  scalar('--restart-max-attempts <n>', 'Restarts before giving up', (draft, value, flag) => {
    draft.restart.MaxAttempts = count(flag, value)
  }),
  scalar('--restart-window <duration>', 'Time that attempts count in', (draft, value, flag) => {
    draft.restart.Window = durationNs(flag, value)
  }),
]

/** A rollback never rolls back: it pauses instead. Docker takes the word for it all the same. */
const FAILURE_ACTIONS = ['pause', 'continue', 'rollback'] as const

const changeFlags = (prefix: 'update' | 'rollback'): ScalarFlag[] => {
  const target = (draft: Draft): UpdateConfig => draft[prefix]
  return [
    scalar(`--${prefix}-parallelism <n>`, 'Tasks at a time (0: all)', (draft, value, flag) => {
      target(draft).Parallelism = count(flag, value)
    }),
    scalar(`--${prefix}-delay <duration>`, 'Pause between tasks', (draft, value, flag) => {
      target(draft).Delay = durationNs(flag, value)
    }),
    scalar(
      `--${prefix}-monitor <duration>`,
      'How long a new task is watched',
      (draft, value, flag) => {
        target(draft).Monitor = durationNs(flag, value)
      },
    ),
    scalar(
      `--${prefix}-failure-action <action>`,
      `On failure: ${FAILURE_ACTIONS.join(', ')}`,
      (draft, value, flag) => {
        put(target(draft), 'FailureAction', choice(...FAILURE_ACTIONS)(flag, value))
      },
    ),
    scalar(
      `--${prefix}-max-failure-ratio <ratio>`,
      'Failures to tolerate',
      (draft, value, flag) => {
        target(draft).MaxFailureRatio = ratio(flag, value)
      },
    ),
    scalar(`--${prefix}-order <order>`, 'start-first or stop-first', (draft, value, flag) => {
      put(target(draft), 'Order', choice('start-first', 'stop-first')(flag, value))
    }),
  ]
}

const HEALTH_FLAGS: ScalarFlag[] = [
  scalar('--health-cmd <command>', 'Command that checks health', (draft, value) => {
    draft.health.Test = value === '' ? [] : ['CMD-SHELL', value]
  }),
  scalar('--health-interval <duration>', 'Time between checks', (draft, value, flag) => {
    draft.health.Interval = durationNs(flag, value)
  }),
  scalar('--health-timeout <duration>', 'Most time for one check', (draft, value, flag) => {
    draft.health.Timeout = durationNs(flag, value)
  }),
  scalar('--health-retries <n>', 'Failures in a row until unhealthy', (draft, value, flag) => {
    draft.health.Retries = integer(flag, value)
  }),
  scalar('--health-start-period <duration>', 'Time to get up', (draft, value, flag) => {
    draft.health.StartPeriod = durationNs(flag, value)
  }),
  scalar(
    '--health-start-interval <duration>',
    'Time between checks meanwhile',
    (draft, value, flag) => {
      draft.health.StartInterval = durationNs(flag, value)
    },
  ),
]

const CONTAINER_FLAGS: ScalarFlag[] = [
  scalar('--entrypoint <command>', "Replaces the image's entrypoint", (draft, value, flag) => {
    draft.container.Command = parsed(flag, value, splitShellWords)
  }),
  scalar('--hostname <name>', 'Host name of the container', (draft, value) => {
    draft.container.Hostname = value
  }),
  scalar('-w, --workdir <path>', 'Working directory', (draft, value) => {
    draft.container.Dir = value
  }),
  scalar('-u, --user <user>', 'User, or user:group', (draft, value) => {
    draft.container.User = value
  }),
  toggle('--init', 'Run an init in the container', (draft, isOn) => {
    draft.container.Init = isOn
  }),
  toggle('-t, --tty', 'Give it a terminal', (draft, isOn) => {
    draft.container.TTY = isOn
  }),
  toggle('--read-only', 'Root file system is read-only', (draft, isOn) => {
    draft.container.ReadOnly = isOn
  }),
  scalar('--stop-signal <signal>', 'Signal that stops it', (draft, value) => {
    draft.container.StopSignal = value
  }),
  scalar('--stop-grace-period <duration>', 'Time from signal to kill', (draft, value, flag) => {
    draft.container.StopGracePeriod = durationNs(flag, value)
  }),
  scalar('--oom-score-adj <n>', 'OOM preference', (draft, value, flag) => {
    draft.container.OomScoreAdj = integer(flag, value)
  }),
  scalar(
    '--credential-spec <source>',
    'Credential spec of a managed service account: file://, registry:// or config://',
    applyCredentialSpec,
  ),
  scalar('--isolation <technology>', 'Isolation technology', (draft, value) => {
    draft.container.Isolation = value
  }),
]

const SERVICE_FLAGS: ScalarFlag[] = [
  scalar('--endpoint-mode <mode>', 'vip or dnsrr', (draft, value, flag) => {
    put(draft.endpoint, 'Mode', choice('vip', 'dnsrr')(flag, value.toLowerCase()))
  }),
  scalar('--replicas-max-per-node <n>', 'Most tasks on a node (0: any)', (draft, value, flag) => {
    draft.placement.MaxReplicas = count(flag, value)
  }),
  scalar(
    '--drain-limit <duration>',
    'How long busy connections may go on before a task is stopped (ours)',
    (draft, value, flag) => {
      draft.extension.DrainLimit = durationNs(flag, value)
    },
  ),
]

/** Every flag that sets one field. */
export const SCALAR_FLAGS: readonly ScalarFlag[] = [
  ...SERVICE_FLAGS,
  ...AUTOSCALE_FLAGS,
  ...SCHEDULE_FLAGS,
  ...CONTAINER_FLAGS,
  ...RESOURCE_FLAGS,
  ...RESTART_FLAGS,
  ...changeFlags('update'),
  ...changeFlags('rollback'),
  ...HEALTH_FLAGS,
]
