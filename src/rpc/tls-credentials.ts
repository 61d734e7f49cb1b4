/** What this side shows and what it checks peers by: the part of a node's credentials that TLS needs. PEM. */
export interface TlsCredentials {
  keyPem: string
  certPem: string
  rootCAPem: string
  role: 'worker' | 'manager'
  clusterId: string
}
