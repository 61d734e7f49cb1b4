import type { Healthcheck } from '../../api/service-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import type { Container, Probe } from '../schema/pod.ts'

const NS_PER_SECOND = 1e9
/** Kubernetes' own defaults, for 0 as well. */
const PERIOD_SECONDS = 10
const TIMEOUT_SECONDS = 1
const FAILURE_THRESHOLD = 3
/** How long a Deployment waits for its pods to get ready (`progressDeadlineSeconds`): a readiness probe ends no container. */
const PROGRESS_SECONDS = 600
/** How often an Engine checks while a container starts. */
const START_INTERVAL_SECONDS = 5

/**
 * A container has one health check, which holds traffic back until it passes and replaces the task when it fails: the liveness probe, else
 * the readiness probe. The startup probe says how long a start may take. Thrown: ManifestProblem.
 */
export const convertProbes = (
  container: Container,
  path: readonly (string | number)[],
  note: (text: string) => void,
): Healthcheck | undefined => {
  const { livenessProbe, readinessProbe, startupProbe } = container
  const [key, probe] =
    livenessProbe !== undefined
      ? (['livenessProbe', livenessProbe] as const)
      : readinessProbe !== undefined
        ? (['readinessProbe', readinessProbe] as const)
        : (['startupProbe', startupProbe] as const)
  if (probe === undefined) return undefined
  if (livenessProbe && readinessProbe && !isSameTest(livenessProbe, readinessProbe)) {
    note(
      'readinessProbe: the livenessProbe decides both; a task gets traffic when it passes, and is replaced when it fails',
    )
  } else if (key !== 'livenessProbe') {
    note(`${key}: a task that fails it once it has passed is replaced, too`)
  }
  const test = testOf(probe, container, [...path, key])
  if (test[0] === 'CMD-SHELL') {
    note(`${key}: is done in the container, with wget, curl or nc of its image`)
  }
  const startSeconds =
    key === 'readinessProbe' && startupProbe === undefined
      ? Math.max(probe.initialDelaySeconds ?? 0, PROGRESS_SECONDS)
      : (probe.initialDelaySeconds ?? 0) + startSecondsOf(startupProbe)
  const startInterval = (startupProbe ?? probe).periodSeconds || PERIOD_SECONDS
  const isSaid = startupProbe !== undefined || startInterval < START_INTERVAL_SECONDS
  return {
    Test: test,
    Interval: (probe.periodSeconds || PERIOD_SECONDS) * NS_PER_SECOND,
    Timeout: (probe.timeoutSeconds || TIMEOUT_SECONDS) * NS_PER_SECOND,
    Retries: probe.failureThreshold || FAILURE_THRESHOLD,
    ...(startSeconds > 0 && { StartPeriod: startSeconds * NS_PER_SECOND }),
    ...(startSeconds > 0 && isSaid && { StartInterval: startInterval * NS_PER_SECOND }),
  }
}

const PORT_MAX = 65535

const startSecondsOf = (probe: Probe | undefined): number =>
  probe === undefined
    ? 0
    : (probe.initialDelaySeconds ?? 0) +
      (probe.periodSeconds || PERIOD_SECONDS) * (probe.failureThreshold || FAILURE_THRESHOLD)

const isSameTest = (a: Probe, b: Probe): boolean =>
  JSON.stringify([a.exec, a.httpGet, a.tcpSocket]) ===
  JSON.stringify([b.exec, b.httpGet, b.tcpSocket])

const testOf = (probe: Probe, container: Container, path: (string | number)[]): string[] => {
  const { exec, httpGet, tcpSocket } = probe
  if ([exec, httpGet, tcpSocket].filter(Boolean).length > 1) {
    throw new ManifestProblem(path, 'must be one of exec, httpGet and tcpSocket, not several')
  }
  if (exec !== undefined) return ['CMD', ...exec.command]
  if (httpGet !== undefined) {
    const port = portOf(httpGet.port, container, [...path, 'httpGet', 'port'])
    const scheme = (httpGet.scheme ?? 'HTTP').toLowerCase()
    const url = quoted(`${scheme}://127.0.0.1:${port}/${(httpGet.path ?? '/').replace(/^\//, '')}`)
    const headers = (httpGet.httpHeaders ?? []).map(({ name, value }) =>
      quoted(`${name}: ${value}`),
    )
    // BusyBox' wget knows --no-check-certificate only where it knows TLS.
    const wget = ['wget', '-q', '-O', '/dev/null']
      .concat(scheme === 'https' ? '--no-check-certificate' : [])
      .concat(headers.map((header) => `--header ${header}`))
      .concat(url)
    const curl = ['curl', '-fsSk', '-o', '/dev/null']
      .concat(headers.map((header) => `-H ${header}`))
      .concat(url)
    return shell(
      `if command -v curl >/dev/null; then ${curl.join(' ')}; else ${wget.join(' ')}; fi`,
    )
  }
  if (tcpSocket !== undefined) {
    const port = portOf(tcpSocket.port, container, [...path, 'tcpSocket', 'port'])
    const bash = `bash -c '</dev/tcp/127.0.0.1/${port}'`
    return shell(`if command -v nc >/dev/null; then nc -z 127.0.0.1 ${port}; else ${bash}; fi`)
  }
  throw new ManifestProblem(path, 'needs exec, httpGet or tcpSocket')
}

const shell = (script: string): string[] => ['CMD-SHELL', `${script} || exit 1`]

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** A number, or the name of one of the container's ports. Thrown: ManifestProblem. */
export const portOf = (
  port: number | string,
  container: Container,
  path: (string | number)[],
): number => {
  if (typeof port === 'number') {
    if (port >= 1 && port <= PORT_MAX) return port
    throw new ManifestProblem(path, `must be between 1 and ${PORT_MAX}`)
  }
  const named = container.ports?.find(({ name }) => name === port)?.containerPort
  if (named !== undefined) return named
  throw new ManifestProblem(path, `the container has no port named ${port}`)
}
