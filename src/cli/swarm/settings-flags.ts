import { type Command, Option } from 'commander'
import { invalid } from '../../api/errors.ts'
import type { ExternalCA, SwarmSpec } from '../../api/swarm.ts'
import { collect } from '../arguments.ts'
import type { CliContext } from '../context.ts'
import { readInput } from '../read-input.ts'
import { count, durationNs, integer } from '../service/flag-values.ts'
import { badFlag, keyValues } from '../service/key-values.ts'

/** What `--cert-expiry` and `--external-ca` say. */
export interface CASettings {
  certExpiry?: string
  externalCa?: string[]
}

/** The swarm's settings as flags: absent ones stay as they are. */
export interface SwarmSettings extends CASettings {
  taskHistoryLimit?: string
  dispatcherHeartbeat?: string
  maxSnapshots?: string
  snapshotInterval?: string
  autolock?: boolean
}

/** Adds the flags about nodes' certificates to a command. */
export const withCASettings = (command: Command): Command =>
  command
    .option('--cert-expiry <duration>', "Life of the nodes' certificates (default: 2160h)")
    .option(
      '--external-ca <ca>',
      'Who signs in the place of the managers: protocol=cfssl,url=URL[,cacert=FILE] (several times)',
      collect,
    )

/** Adds the flags of all settings to a command. */
export const withSwarmSettings = (command: Command): Command =>
  withCASettings(
    command
      .option('--task-history-limit <n>', 'Old tasks kept per slot (default: 5; below 0: all)')
      .option(
        '--dispatcher-heartbeat <duration>',
        'How often nodes say that they live (default: 1s)',
      )
      .option('--max-snapshots <n>', 'Kept in the settings; the log needs no old snapshots')
      .option(
        '--snapshot-interval <n>',
        'Kept in the settings; the state is on disk all the time (default: 10000)',
      )
      .option('--autolock', 'Require an unlock key after a restart; --autolock=false for none')
      .addOption(new Option('--no-autolock').hideHelp()),
  )

/** `spec` with what the flags say. `caCert`: the certificate of external CAs that don't name theirs. */
export const withSettings = async (
  context: CliContext,
  spec: SwarmSpec,
  flags: SwarmSettings,
  caCert: string,
): Promise<SwarmSpec> => {
  const { taskHistoryLimit, dispatcherHeartbeat, maxSnapshots, snapshotInterval, autolock } = flags
  return {
    ...spec,
    ...(taskHistoryLimit !== undefined && {
      Orchestration: {
        ...spec.Orchestration,
        TaskHistoryRetentionLimit: integer('--task-history-limit', taskHistoryLimit),
      },
    }),
    ...(dispatcherHeartbeat !== undefined && {
      Dispatcher: { HeartbeatPeriod: durationNs('--dispatcher-heartbeat', dispatcherHeartbeat) },
    }),
    Raft: {
      ...spec.Raft,
      ...(maxSnapshots !== undefined && {
        KeepOldSnapshots: count('--max-snapshots', maxSnapshots),
      }),
      ...(snapshotInterval !== undefined && {
        SnapshotInterval: count('--snapshot-interval', snapshotInterval),
      }),
    },
    ...(autolock !== undefined && {
      EncryptionConfig: { ...spec.EncryptionConfig, AutoLockManagers: autolock },
    }),
    CAConfig: await withCAConfig(context, spec.CAConfig ?? {}, flags, caCert),
  }
}

/** The CA's settings with what the flags say. */
export const withCAConfig = async (
  context: CliContext,
  config: NonNullable<SwarmSpec['CAConfig']>,
  { certExpiry, externalCa }: CASettings,
  caCert: string,
): Promise<NonNullable<SwarmSpec['CAConfig']>> => ({
  ...config,
  ...(certExpiry !== undefined && { NodeCertExpiry: durationNs('--cert-expiry', certExpiry) }),
  ...(externalCa !== undefined && {
    ExternalCAs: await Promise.all(externalCa.map((text) => externalCA(context, text, caCert))),
  }),
})

/** One `--external-ca`. A `cacert` of its own goes before the command's. */
const externalCA = async (
  context: CliContext,
  text: string,
  caCert: string,
): Promise<ExternalCA> => {
  const bad = (reason: string) => badFlag('--external-ca', text, reason)
  const Options: Record<string, string> = {}
  const ca = { Protocol: '', URL: '', Options, CACert: caCert }
  for (const [key, value] of keyValues(text)) {
    if (value === undefined) throw bad(`invalid field '${key}' must be a key=value pair`)
    if (key === 'protocol') ca.Protocol = value.toLowerCase()
    else if (key === 'url') ca.URL = value
    else if (key === 'cacert') {
      ca.CACert = await readPem(context, value).catch((error: Error) => {
        throw bad(error.message)
      })
    } else Options[key] = value
  }
  if (ca.Protocol === '') throw bad('the external-ca option needs a protocol= parameter')
  if (ca.Protocol !== 'cfssl') throw bad(`unrecognized external CA protocol ${ca.Protocol}`)
  if (ca.URL === '') throw bad('the external-ca option needs a url= parameter')
  return ca
}

/** A PEM file's content. */
export const readPem = async (context: CliContext, path: string): Promise<string> => {
  const text = (await readInput(context, path)).toString('utf8')
  if (/-----BEGIN [A-Z0-9 ]+-----/.test(text)) return text
  throw invalid(`${path} is not in PEM format`)
}
