import type { Clock } from '../../../src/api/clock.ts'
import { newId } from '../../../src/api/id.ts'
import type { Log } from '../../../src/api/log.ts'
import { type Credentials, readCredentials } from '../../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../../src/pki/csr.ts'
import {
  createRootCA,
  NODE_LIFETIME_MS,
  type RootCA,
  signNodeCertificate,
} from '../../../src/pki/root-ca.ts'

/** The real clock, for tests on real sockets. */
export const realClock: Clock = {
  nowMs: () => Date.now(),
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

const quiet = (): void => {}

/** A log that says nothing. */
export const noLog: Log = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  child: () => noLog,
}

/** A cluster's authority, which makes credentials of any kind. */
export interface TestCluster {
  root: RootCA
  clusterId: string
  issue(options?: {
    role?: 'worker' | 'manager'
    nodeId?: string
    /** Shifts the certificate's life, milliseconds. */
    ageMs?: number
    lifetimeMs?: number
  }): Promise<Credentials>
}

export const testCluster = async (): Promise<TestCluster> => {
  const clusterId = newId()
  const root = await createRootCA(realClock)
  return {
    root,
    clusterId,
    issue: async ({ role = 'manager', nodeId = newId(), ageMs = 0, lifetimeMs } = {}) => {
      const { keyPem, csrPem } = await createKeyAndCsr()
      const certPem = await signNodeCertificate(
        root,
        { csrPem, nodeId, role, clusterId, lifetimeMs: lifetimeMs ?? NODE_LIFETIME_MS },
        { ...realClock, nowMs: () => Date.now() - ageMs },
      )
      return readCredentials({ keyPem, certPem, rootCAPem: root.certPem })
    },
  }
}
