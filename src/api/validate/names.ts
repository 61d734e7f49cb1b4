import { invalid } from '../errors.ts'

/** swarmkit `manager/controlapi/common.go`: names of services and networks are parts of DNS names. */
const DNS_NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/
const DNS_NAME_LENGTH_MAX = 63
const FILE_NAME = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$/
const FILE_NAME_LENGTH_MAX = 64

/** @throws SwarmctlError INVALID_ARGUMENT unless it can name a service or network */
export const requireDnsName = (name: string): void => {
  if (name === '') throw invalid('meta: name must be provided')
  // The length first: the pattern takes long on long hostile names.
  if (name.length > DNS_NAME_LENGTH_MAX) throw invalid('name must be 63 characters or fewer')
  if (!DNS_NAME.test(name)) throw invalid('name must be valid as a DNS name component')
}

/** @throws SwarmctlError INVALID_ARGUMENT unless it can name a secret or config */
export const requireFileName = (name: string): void => {
  if (name === '') throw invalid('name must be provided')
  if (name.length > FILE_NAME_LENGTH_MAX || !FILE_NAME.test(name)) {
    throw invalid(
      'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
    )
  }
}
