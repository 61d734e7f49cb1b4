import type { Path, Scalar } from '../value.ts'

type Cast = (text: string) => Scalar

const integer: Cast = (text) => {
  if (!/^[-+]?[0-9]+$/.test(text)) throw new Error(`invalid integer: ${text}`)
  return BigInt(text.replace(/^\+/, ''))
}

const float: Cast = (text) => {
  const value = Number(text)
  if (text.trim() !== text || text === '' || !Number.isFinite(value)) {
    throw new Error(`invalid number: ${text}`)
  }
  return value
}

/** The words of YAML 1.1; only an interpolated value may use them. */
const boolean: Cast = (text) => {
  const word = text.toLowerCase()
  if (['y', 'yes', 'true', 'on'].includes(word)) return true
  if (['n', 'no', 'false', 'off'].includes(word)) return false
  throw new Error(`invalid boolean: ${text}`)
}

/** `*` stands for any key, `[]` for any index. */
const CASTS: readonly (readonly [pattern: string, cast: Cast])[] = [
  ['services.*.configs.[].mode', integer],
  ['services.*.secrets.[].mode', integer],
  ['services.*.healthcheck.retries', integer],
  ['services.*.healthcheck.disable', boolean],
  ['services.*.deploy.replicas', integer],
  ['services.*.deploy.update_config.parallelism', integer],
  ['services.*.deploy.update_config.max_failure_ratio', float],
  ['services.*.deploy.rollback_config.parallelism', integer],
  ['services.*.deploy.rollback_config.max_failure_ratio', float],
  ['services.*.deploy.restart_policy.max_attempts', integer],
  ['services.*.deploy.placement.max_replicas_per_node', integer],
  ['services.*.ports.[].target', integer],
  ['services.*.ports.[].published', integer],
  ['services.*.ulimits.*', integer],
  ['services.*.ulimits.*.hard', integer],
  ['services.*.ulimits.*.soft', integer],
  ['services.*.privileged', boolean],
  ['services.*.oom_score_adj', integer],
  ['services.*.read_only', boolean],
  ['services.*.stdin_open', boolean],
  ['services.*.tty', boolean],
  ['services.*.volumes.[].read_only', boolean],
  ['services.*.volumes.[].volume.nocopy', boolean],
  ['networks.*.external', boolean],
  ['networks.*.internal', boolean],
  ['networks.*.attachable', boolean],
  ['volumes.*.external', boolean],
  ['secrets.*.external', boolean],
  ['configs.*.external', boolean],
]

const PATTERNS = CASTS.map(([pattern, cast]) => ({ parts: pattern.split('.'), cast }))

/** The type that an interpolated value at `path` must have; undefined where text is right. */
export const castFor = (path: Path): Cast | undefined =>
  PATTERNS.find(
    ({ parts }) =>
      parts.length === path.length &&
      parts.every((part, index) => {
        const step = path[index]
        return typeof step === 'number' ? part === '[]' : part === '*' || part === step
      }),
  )?.cast
