import type { ContainerSpec, Healthcheck, Privileges } from '../../api/service-spec.ts'
import type { HealthcheckConfig, ServiceConfig, StackConfig } from '../config.ts'
import { parseCapabilities } from '../parse/capabilities.ts'
import { familiarImage } from '../parse/image-reference.ts'
import { compareText, present, sortedEntries } from '../present.ts'
import { at } from '../stack-error.ts'
import { convertEngine } from './engine.ts'
import { convertMounts } from './mounts.ts'
import { withStackLabel } from './namespace.ts'
import { convertConfigReferences, convertSecretReferences, placeholderId } from './references.ts'

/** What of a service its containers are made from. Thrown: StackFileProblem. */
export const convertContainer = (
  key: string,
  config: StackConfig,
  namespace: string,
): ContainerSpec => {
  const service = config.services[key] ?? {}
  const { add, drop } = parseCapabilities(service.cap_add ?? [], service.cap_drop ?? [])
  return present<ContainerSpec>({
    Image: familiarImage(service.image ?? ''),
    Command: service.entrypoint,
    Args: service.command,
    Hostname: service.hostname || undefined,
    Hosts: service.extra_hosts?.map(hostsLine),
    DNSConfig: convertDns(service),
    Healthcheck: at(['services', key, 'healthcheck'], () =>
      convertHealthcheck(service.healthcheck),
    ),
    Env: convertEnvironment(service.environment),
    Labels: withStackLabel(namespace, service.labels),
    Dir: service.working_dir || undefined,
    User: service.user || undefined,
    Mounts: convertMounts(key, config, namespace),
    StopGracePeriod: service.stop_grace_period,
    StopSignal: service.stop_signal || undefined,
    TTY: service.tty || undefined,
    OpenStdin: service.stdin_open || undefined,
    Secrets: convertSecretReferences(key, config, namespace),
    Configs: convertConfigReferences(key, config, namespace),
    ReadOnly: service.read_only || undefined,
    Privileges: at(['services', key, 'credential_spec'], () =>
      convertPrivileges(key, config, namespace),
    ),
    Isolation: service.isolation || undefined,
    Init: service.init,
    Sysctls: service.sysctls,
    CapabilityAdd: add,
    CapabilityDrop: drop,
    Ulimits: sortedEntries(service.ulimits ?? {}).map(([Name, { soft, hard }]) => ({
      Name,
      Soft: soft,
      Hard: hard,
    })),
    OomScoreAdj: service.oom_score_adj || undefined,
    Groups: service.group_add,
    Swarmctl: convertEngine(service),
  })
}

/** `host:address` as a line of /etc/hosts. */
const hostsLine = (host: string): string => {
  const colon = host.indexOf(':')
  return `${host.slice(colon + 1)} ${host.slice(0, colon)}`
}

const convertDns = ({ dns, dns_opt, dns_search }: ServiceConfig): ContainerSpec['DNSConfig'] =>
  (dns?.length ?? 0) + (dns_search?.length ?? 0) + (dns_opt?.length ?? 0) === 0
    ? undefined
    : present<NonNullable<ContainerSpec['DNSConfig']>>({
        Nameservers: dns,
        Search: dns_search,
        Options: dns_opt,
      })

const convertHealthcheck = (check: HealthcheckConfig | undefined): Healthcheck | undefined => {
  if (check === undefined) return undefined
  if (check.disable === true) {
    if ((check.test ?? []).length > 0) {
      throw new Error("test and disable can't be set at the same time")
    }
    return { Test: ['NONE'] }
  }
  return present<Healthcheck>({
    Test: check.test,
    Timeout: check.timeout || undefined,
    Interval: check.interval || undefined,
    Retries: check.retries || undefined,
    StartPeriod: check.start_period || undefined,
    StartInterval: check.start_interval || undefined,
  })
}

const convertEnvironment = (environment: ServiceConfig['environment'] = {}): string[] =>
  Object.entries(environment)
    .map(([name, value]) => (value === null ? name : `${name}=${value}`))
    .sort(compareText)

const convertPrivileges = (key: string, config: StackConfig, namespace: string): Privileges => {
  const spec = config.services[key]?.credential_spec ?? {}
  const given = (['config', 'file', 'registry'] as const).filter((source) => spec[source])
  if (given.length > 1) {
    throw new Error(`invalid credential spec: cannot specify both ${given.join(' and ')}`)
  }
  if (given.length === 0) return { NoNewPrivileges: false }
  const runtime = convertConfigReferences(key, config, namespace).find(
    (reference) => reference.Runtime !== undefined,
  )
  return {
    CredentialSpec: present({
      Config: runtime && placeholderId('configs', runtime.ConfigName),
      File: spec.file,
      Registry: spec.registry,
    }),
    NoNewPrivileges: false,
  }
}
