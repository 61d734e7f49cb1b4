/** What whoever owns a manager's machine can do: the cluster's own root signs whatever a test needs. */
import { join } from 'node:path'
import type { Clock } from '../../../src/api/clock.ts'
import { systemClock } from '../../../src/daemon/system-clock.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import type { CredentialsPem } from '../../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../../src/pki/csr.ts'
import { loadDataKey } from '../../../src/pki/data-key.ts'
import { type RootCA, signNodeCertificate } from '../../../src/pki/root-ca.ts'
import { LevelStateStorage } from '../../../src/raft/state-storage.ts'
import { restoreState } from '../restore-state.ts'
import { eventually } from './eventually.ts'
import type { LabHost } from './host.ts'

const DAY_MS = 24 * 3_600_000

/** The root's certificate and key, read from a copy of a running manager's state directory. */
export const readRootCA = (manager: LabHost): Promise<RootCA> =>
  // A copy made while something is written may be torn.
  eventually(
    async () => {
      const copy = join(manager.dir, 'state-copy')
      await manager.exec('rm', ['-rf', copy])
      await manager.exec('cp', ['-a', manager.dataDir, copy])
      return readRootFrom(copy)
    },
    { what: `the root is read from the state of ${manager.name}` },
  )

const readRootFrom = async (directory: string): Promise<RootCA | undefined> => {
  const dataKey = await loadDataKey(directory)
  if (dataKey?.kind !== 'open') return undefined
  const storage = new LevelStateStorage(join(directory, 'raft/state'), {
    clock: {
      after: (delayMs, callback) => systemClock.schedule(delayMs, callback),
      defer: (callback) => void setImmediate(callback),
    },
    dataKey: dataKey.key,
    onTrouble: () => {},
  })
  const meta = await storage.open()
  try {
    const state = new StoreState()
    await restoreState(state, meta?.index ?? 0, await storage.load())
    const secrets = state.view().cluster()?.Swarmctl
    return secrets && { certPem: secrets.RootCACert, keyPem: secrets.RootCAKey }
  } finally {
    await storage.close()
  }
}

/** A worker's credentials from this root that expired a day ago, with a key of their own. */
export const expiredCredentials = async (
  root: RootCA,
  node: { nodeId: string; clusterId: string },
): Promise<CredentialsPem> => {
  const { keyPem, csrPem } = await createKeyAndCsr()
  const past: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() - 2 * DAY_MS }
  const request = { csrPem, ...node, role: 'worker', lifetimeMs: DAY_MS } as const
  const certPem = await signNodeCertificate(root, request, past)
  return { keyPem, certPem, rootCAPem: root.certPem }
}
