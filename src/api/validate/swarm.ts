import { inLowerCase } from '../enumeration-words.ts'
import { invalid } from '../errors.ts'
import { NodeSpec } from '../node.ts'
import { type ExternalCA, SwarmSpec } from '../swarm.ts'
import { parseBody } from './body.ts'

/** swarmkit `ca.MinNodeCertExpiration`: 1 h. */
const CERT_EXPIRY_NS_MIN = 3600 * 1_000_000_000
/** The one name that Docker lets a cluster have. */
const CLUSTER_NAME = 'default'

/** They are asked one after the other for each certificate; two or three stand in for each other. */
const EXTERNAL_CAS_MAX = 16

/** @throws SwarmctlError INVALID_ARGUMENT or UNIMPLEMENTED with Docker's text */
export const parseSwarmSpec = (body: unknown): SwarmSpec => {
  const spec = parseBody(SwarmSpec, body)
  // An empty one means as before.
  if (spec.Name !== CLUSTER_NAME && spec.Name !== '') {
    throw invalid('swarm spec must be named "default"')
  }
  const expiry = spec.CAConfig?.NodeCertExpiry ?? 0
  if (expiry !== 0 && expiry < CERT_EXPIRY_NS_MIN) {
    throw invalid('minimum certificate expiry time is: 1h0m0s')
  }
  const externalCAs = spec.CAConfig?.ExternalCAs ?? []
  if (externalCAs.length > EXTERNAL_CAS_MAX) {
    throw invalid(
      `CAConfig.ExternalCAs: ${externalCAs.length} external CAs are too many: at most ${EXTERNAL_CAS_MAX}`,
    )
  }
  for (const ca of externalCAs) checkExternalCA(ca)
  if ((spec.Dispatcher?.HeartbeatPeriod ?? 0) < 0) {
    throw invalid('heartbeat time period cannot be a negative duration')
  }
  return spec
}

const checkExternalCA = ({ Protocol = '', URL: url = '' }: ExternalCA): void => {
  if (Protocol.toLowerCase() !== 'cfssl') throw invalid(`invalid protocol: "${Protocol}"`)
  // The managers prove themselves to it by their certificates.
  if (URL.canParse(url) && new URL(url).protocol === 'https:') return
  throw invalid(`invalid URL of an external CA: "${url}" must begin with https://`)
}

/** @throws SwarmctlError INVALID_ARGUMENT */
export const parseNodeSpec = (body: unknown): NodeSpec => {
  const given = (body ?? {}) as Record<string, unknown>
  const spec = inLowerCase(given, ['Role', 'Availability']) as Record<string, unknown>
  const { Role, Availability } = spec
  if (Role !== 'worker' && Role !== 'manager') {
    throw invalid(`invalid Role: "${String(given.Role ?? '')}", must be worker or manager`)
  }
  if (Availability !== 'active' && Availability !== 'pause' && Availability !== 'drain') {
    throw invalid(
      `invalid Availability: "${String(given.Availability ?? '')}", must be active, pause or drain`,
    )
  }
  return parseBody(NodeSpec, spec)
}
