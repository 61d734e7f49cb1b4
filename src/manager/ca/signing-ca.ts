import { invalid } from '../../api/errors.ts'
import type { SwarmSpec } from '../../api/swarm.ts'
import type { RootCA } from '../../pki/root-ca.ts'
import { readSuppliedCA } from '../../pki/supplied-ca.ts'

export type CAConfig = NonNullable<SwarmSpec['CAConfig']>

/** The CA that a client brings, checked; its key is '' when it stays outside. Throws INVALID_ARGUMENT. */
export const suppliedCA = (sent: CAConfig, nowMs: number): RootCA | undefined => {
  const [certPem, keyPem] = [sent.SigningCACert ?? '', sent.SigningCAKey ?? '']
  if (certPem !== '') return readSuppliedCA({ certPem, keyPem }, nowMs)
  if (keyPem === '') return undefined
  throw invalid('if a signing CA key is provided, the signing CA cert must also be provided')
}

/** The CA that a client brings is the cluster's, not a setting: as with Swarm it is not shown again. */
export const withoutSigningCA = ({ CAConfig, ...spec }: SwarmSpec): SwarmSpec => {
  const { SigningCACert: _, SigningCAKey: __, ...rest } = CAConfig ?? {}
  return { ...spec, CAConfig: rest }
}
