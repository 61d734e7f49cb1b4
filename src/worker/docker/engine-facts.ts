import { SwarmctlError } from '../../api/errors.ts'
import type { GenericResource } from '../../api/service-spec.ts'
import type { EngineFacts } from '../executor.ts'

/** What is read of `GET /info`. */
export interface EngineInfo {
  Name: string
  OSType: string
  Architecture: string
  NCPU: number
  MemTotal: number
  ServerVersion: string
  Labels: string[] | null
  GenericResources?: GenericResource[] | null
  Plugins?: Record<'Volume' | 'Network' | 'Authorization' | 'Log', string[] | null> | null
  Swarm?: { LocalNodeState?: string } | null
}

/** What is read of `GET /plugins`: plugins that the Engine manages, which `GET /info` lists only once they were used. */
export interface EnginePlugin {
  Name: string
  Enabled?: boolean
  /** As `docker.volumedriver/1.0`. */
  Config?: { Interface?: { Types?: string[] | null } | null } | null
}

type Plugin = EngineFacts['Engine']['Plugins'][number]

/** As moby's agents name the capabilities (`daemon/cluster/executor/container`). */
const PLUGIN_TYPES: Readonly<Record<string, string>> = {
  volumedriver: 'Volume',
  networkdriver: 'Network',
  logdriver: 'Log',
}

const CAPABILITY = /^docker\.([^/]+)\//

const managedPlugins = (plugins: readonly EnginePlugin[]): Plugin[] =>
  plugins
    .filter(({ Enabled }) => Enabled === true)
    .flatMap(({ Name, Config }) =>
      (Config?.Interface?.Types ?? []).flatMap((type) => {
        const capability = CAPABILITY.exec(type)?.[1]
        return capability === undefined
          ? []
          : { Type: PLUGIN_TYPES[capability] ?? capability, Name }
      }),
    )

const labels = (lines: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    lines.map((line) => {
      const equals = line.indexOf('=')
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)]
    }),
  )

/** The Engine's part of a node's description. */
export const engineFacts = (
  info: EngineInfo,
  plugins: readonly EnginePlugin[] = [],
): EngineFacts => ({
  Hostname: info.Name,
  Platform: { Architecture: info.Architecture, OS: info.OSType },
  Resources: {
    NanoCPUs: info.NCPU * 1e9,
    MemoryBytes: info.MemTotal,
    ...(info.GenericResources?.length && { GenericResources: info.GenericResources }),
  },
  Engine: {
    EngineVersion: info.ServerVersion,
    Labels: labels(info.Labels ?? []),
    Plugins: sortedPlugins([
      ...Object.entries(info.Plugins ?? {}).flatMap(([Type, names]) =>
        (names ?? []).map((Name) => ({ Type, Name })),
      ),
      ...managedPlugins(plugins),
    ]),
  },
})

/** Each once. */
const sortedPlugins = (plugins: readonly Plugin[]): Plugin[] =>
  [...new Map(plugins.map((plugin) => [plugin.Type + plugin.Name, plugin]))]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, plugin]) => plugin)

/** @throws SwarmctlError FAILED_PRECONDITION when this Engine is a member of Docker's own swarm: its ports and names would clash */
export const requireNoSwarm = (info: EngineInfo): void => {
  const state = info.Swarm?.LocalNodeState ?? 'inactive'
  if (state === 'inactive' || state === '') return
  throw new SwarmctlError(
    'FAILED_PRECONDITION',
    `the Docker Engine of ${info.Name} is in a Docker swarm (${state}), which uses ports 2377 and 4789: ` +
      'take it out with "docker swarm leave" (on a manager with --force), then try again',
  )
}
