import type { Clock } from '../../api/clock.ts'
import { invalid, toSwarmctlError } from '../../api/errors.ts'
import type { Cluster, RootRotation } from '../../api/swarm.ts'
import { normalCertificates } from '../../pki/certificate-chain.ts'
import { crossSign } from '../../pki/cross-sign.ts'
import { createRootCA, issuerInfoOf, type RootCA } from '../../pki/root-ca.ts'
import { withoutRotation, withRotation } from './cluster-ca.ts'
import { type ExternalSigner, signersOf } from './external-ca.ts'
import { crossSignExternally } from './external-cross-sign.ts'
import { type CAConfig, suppliedCA } from './signing-ca.ts'

/** What an update of the swarm's settings makes of its CA. */
export type CAUpdate =
  | { kind: 'none' }
  /** A root is to follow; one that was to follow before is given up. */
  | { kind: 'rotate'; rotation: RootRotation }
  /** The root stays: a rotation is given up. */
  | { kind: 'keep'; rootCAKey: string }
  /** The root that is to follow anyhow; its key may come or go. */
  | { kind: 'go-on'; rotation: RootRotation }

export interface CAUpdateDeps {
  clock: Clock
  external?: ExternalSigner
}

/**
 * What a client's settings say about the CA (moby `validateCAConfig`): a certificate of one's own begins the rotation to it, or ends one
 * when it is the present root's; `ForceRotate` that differs makes a new root. A CA whose key is outside has to have a signer that
 * answers. Throws INVALID_ARGUMENT, FAILED_PRECONDITION, or UNAVAILABLE (a signer).
 */
export const prepareCAUpdate = async (
  deps: CAUpdateDeps,
  cluster: Cluster,
  sent: CAConfig,
): Promise<CAUpdate> => {
  const { RootCACert, RootCAKey, RootRotation } = cluster.Swarmctl
  const supplied = suppliedCA(sent, deps.clock.nowMs())
  const isPresent = supplied?.certPem === normalCertificates(RootCACert)
  const signers = new Signers(deps, cluster, sent)
  if (RootCAKey === '' && !(isPresent && supplied?.keyPem !== '')) {
    await signers.require(RootCACert, 'current')
  }
  if (supplied === undefined) {
    const isForced = (sent.ForceRotate ?? 0) !== (cluster.Spec.CAConfig?.ForceRotate ?? 0)
    if (isForced) {
      const next = await createRootCA(deps.clock)
      return { kind: 'rotate', rotation: await rotationTo(cluster, next, signers) }
    }
    if (RootRotation?.CAKey === '') await signers.require(RootRotation.CACert, 'next')
    return { kind: 'none' }
  }
  if (supplied.keyPem === '') await signers.require(supplied.certPem, 'desired')
  if (isPresent) return { kind: 'keep', rootCAKey: supplied.keyPem }
  if (RootRotation && supplied.certPem === normalCertificates(RootRotation.CACert)) {
    return { kind: 'go-on', rotation: { ...RootRotation, CAKey: supplied.keyPem } }
  }
  return { kind: 'rotate', rotation: await rotationTo(cluster, supplied, signers) }
}

/** The cluster with what was prepared for it. */
export const withCAUpdate = (cluster: Cluster, update: CAUpdate): Cluster => {
  switch (update.kind) {
    case 'none':
      return cluster
    case 'rotate':
    case 'go-on':
      return withRotation(cluster, update.rotation)
    case 'keep':
      return withoutRotation(cluster, update.rootCAKey)
    default:
      return update satisfies never
  }
}

/** The old root vouches for the new one: always the one that all nodes trust, also when another was to follow it. */
const rotationTo = async (
  cluster: Cluster,
  next: RootCA,
  signers: Signers,
): Promise<RootRotation> => {
  const { RootCACert, RootCAKey } = cluster.Swarmctl
  // Nodes tell the old root's certificates from the new one's by the key.
  const keyOf = (certPem: string) => issuerInfoOf(certPem).CertIssuerPublicKey
  if (keyOf(next.certPem) === keyOf(RootCACert)) {
    throw invalid('Cannot update to a cert with an identical key')
  }
  const CrossSignedCACert =
    RootCAKey === ''
      ? await signers.crossSign(next)
      : await crossSign({ certPem: RootCACert, keyPem: RootCAKey }, next.certPem)
  return {
    CACert: normalCertificates(next.certPem),
    CAKey: next.keyPem,
    CrossSignedCACert: normalCertificates(CrossSignedCACert),
  }
}

/** The signers that the new settings name. */
class Signers {
  readonly #external: ExternalSigner | undefined
  readonly #clock: Clock
  readonly #cluster: Cluster
  readonly #sent: CAConfig

  constructor({ external, clock }: CAUpdateDeps, cluster: Cluster, sent: CAConfig) {
    this.#external = external
    this.#clock = clock
    this.#cluster = cluster
    this.#sent = sent
  }

  /** Throws INVALID_ARGUMENT unless one of this CA's answers, which is returned. */
  async require(caCertPem: string, which: 'current' | 'next' | 'desired'): Promise<string> {
    let why = 'none is set'
    for (const url of this.#of(caCertPem)) {
      try {
        await this.#external?.reach(url, caCertPem)
        return url
      } catch (error) {
        why = toSwarmctlError(error).message
      }
    }
    throw invalid(
      `there must be at least one valid, reachable external CA corresponding to the ${which} CA certificate: ${why}`,
    )
  }

  #of(caCertPem: string): string[] {
    if (this.#external === undefined) return []
    return signersOf(this.#sent.ExternalCAs ?? [], caCertPem, this.#cluster.Swarmctl)
  }

  /** The present root, whose key is outside, vouches for the new one. */
  async crossSign(next: RootCA): Promise<string> {
    if (next.keyPem === '' || this.#external === undefined) {
      throw invalid('rotating from one external CA to a different external CA is not supported')
    }
    const { RootCACert } = this.#cluster.Swarmctl
    const url = await this.require(RootCACert, 'current')
    return crossSignExternally(this.#external, url, RootCACert, next, this.#clock.nowMs())
  }
}
