import type { SwarmSpec } from './swarm.ts'

/** The fields of `over` that say something: a zero or an empty text or list means as before. */
const said = <T extends object>(over: T | undefined, mayBeZero: readonly (keyof T)[] = []): T =>
  Object.fromEntries(
    Object.entries(over ?? {}).filter(
      ([key, value]) =>
        value !== undefined && value !== '' && (value !== 0 || mayBeZero.includes(key as keyof T)),
    ),
  ) as T

/**
 * The settings in force once a client has sent `spec`: what it leaves out, or sends as Go's zero value, stays as in `current` (moby
 * `convert.MergeSwarmSpecToGRPC`). Labels, autolock, the CA's rotation and external CAs are taken as sent.
 */
export const mergeSwarmSpec = (spec: SwarmSpec, current: SwarmSpec): SwarmSpec => {
  const { ForceRotate: _, ExternalCAs: __, ...ca } = current.CAConfig ?? {}
  return {
    ...spec,
    Name: spec.Name === '' ? current.Name : spec.Name,
    Orchestration: {
      ...current.Orchestration,
      ...said(spec.Orchestration, ['TaskHistoryRetentionLimit']),
    },
    Raft: { ...current.Raft, ...said(spec.Raft, ['KeepOldSnapshots']) },
    Dispatcher: { ...current.Dispatcher, ...said(spec.Dispatcher) },
    CAConfig: { ...ca, ...said(spec.CAConfig, ['ForceRotate']) },
    TaskDefaults: { ...current.TaskDefaults, ...said(spec.TaskDefaults) },
    EncryptionConfig: { AutoLockManagers: false, ...spec.EncryptionConfig },
  }
}
