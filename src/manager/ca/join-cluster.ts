import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../../api/clock.ts'
import { SwarmctlError, toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import { normalCertificates } from '../../pki/certificate-chain.ts'
import { type Credentials, checkValidity, readCredentials } from '../../pki/credentials.ts'
import { createKeyAndCsr, type KeyAndCsr } from '../../pki/csr.ts'
import { type JoinToken, parseJoinToken, rootDigest } from '../../pki/join-token.ts'
import { connectAnonymously } from '../../rpc/client.ts'
import { RpcHandlers } from '../../rpc/handlers.ts'

/** Joining includes a commit by the leader; an election may be going on. Milliseconds. */
const JOIN_TIMEOUT_MS = 20_000

export interface JoinDeps {
  clock: Clock
  log: Log
}

export interface JoinOptions {
  /** Managers as host:port, tried in order. */
  addrs: readonly string[]
  token: string
  info: {
    availability?: 'active' | 'pause' | 'drain'
    /** host:port of this node's cluster port; an empty host lets the manager take the address that it sees. */
    addr: string
    hostname?: string
    /** UDP port of VXLAN that this daemon was started with: all of a cluster's nodes have the same. */
    dataPathPort?: number
  }
  signal?: AbortSignal
  /** The key of an earlier attempt, so that the leader knows it again. */
  key?: KeyAndCsr
}

const RootAnswer = z.object({ rootCAPem: z.string() })
const JoinAnswer = z.object({ nodeId: z.string(), certPem: z.string(), rootCAPem: z.string() })

/** The root certificate (PEM) that a manager says its cluster has. Nothing is verified: compare its digest with a join token. */
export const fetchRootCA = async (
  addr: string,
  deps: JoinDeps,
  signal?: AbortSignal,
): Promise<string> => {
  const connection = await connectAnonymously(addr, {
    ...deps,
    handlers: new RpcHandlers(),
    ...(signal && { signal }),
  })
  try {
    return RootAnswer.parse(await connection.request('ca.root', {}, signal && { signal })).rootCAPem
  } catch (error) {
    if (error instanceof z.ZodError) throw strangeAnswer(addr, error)
    throw error
  } finally {
    connection.close()
  }
}

/**
 * Joins a cluster: asks a manager for the root certificate, compares it with the token's digest, connects again with that root as
 * the only trusted one, and only then sends token and certificate request. The private key stays here. Rejects with one line:
 * INVALID_ARGUMENT (no token), UNAUTHENTICATED (wrong token, wrong cluster, certificates, clocks), UNAVAILABLE (no manager reached, no leader).
 */
export const joinCluster = async (deps: JoinDeps, options: JoinOptions): Promise<Credentials> => {
  const token = parseJoinToken(options.token)
  const key = options.key ?? (await createKeyAndCsr())
  let lastError = new SwarmctlError('INVALID_ARGUMENT', 'name a manager to join: HOST:PORT')
  for (const addr of options.addrs) {
    try {
      return await joinAt(addr, token, key, deps, options)
    } catch (thrown) {
      lastError = toSwarmctlError(thrown)
      // Another manager can't say otherwise, unless this one is none or can't be reached.
      const isWorthAnother = lastError.code === 'UNAVAILABLE' || lastError.code === 'TIMEOUT'
      if (!isWorthAnother || options.signal?.aborted) break
      deps.log.info({ addr, reason: lastError.message }, 'could not join at this address')
    }
  }
  throw lastError
}

const joinAt = async (
  addr: string,
  token: JoinToken,
  key: KeyAndCsr,
  deps: JoinDeps,
  options: JoinOptions,
): Promise<Credentials> => {
  const { signal } = options
  const rootCAPem = checkedRoot(addr, await fetchRootCA(addr, deps, signal), token)
  const connection = await connectAnonymously(addr, {
    ...deps,
    handlers: new RpcHandlers(),
    rootCAPem,
    ...(signal && { signal }),
  })
  try {
    const body = { csrPem: key.csrPem, token: options.token.trim(), info: options.info }
    const answer = await connection.request('ca.join', body, {
      timeoutMs: JOIN_TIMEOUT_MS,
      ...(signal && { signal }),
    })
    const { certPem, rootCAPem: answered } = JoinAnswer.parse(answer)
    const trusted = trustedRoots(addr, answered, rootCAPem)
    const credentials = readCredentials({ keyPem: key.keyPem, certPem, rootCAPem: trusted })
    checkValidity(credentials, deps.clock)
    return credentials
  } catch (error) {
    if (error instanceof z.ZodError) throw strangeAnswer(addr, error)
    throw error
  } finally {
    connection.close()
  }
}

/** The root as PEM of that one certificate: a second one in the answer is not covered by the digest and must not be trusted. */
const checkedRoot = (addr: string, answeredPem: string, token: JoinToken): string => {
  let root: X509Certificate
  try {
    root = new X509Certificate(answeredPem)
  } catch (cause) {
    throw strangeAnswer(addr, cause)
  }
  const rootCAPem = root.toString()
  if (rootDigest(rootCAPem) === token.rootDigest) return rootCAPem
  throw new SwarmctlError(
    'UNAUTHENTICATED',
    `the join token is not of the cluster at ${addr}: its CA is another one. Check the address, and print the token on that cluster with \`swarmctl swarm join-token\``,
  )
}

/**
 * Whom the verified manager says to trust: the root that the token names, and while that is rotated the next one as well.
 */
const trustedRoots = (addr: string, answeredPem: string, namedPem: string): string => {
  let roots: string
  try {
    roots = normalCertificates(answeredPem)
  } catch (cause) {
    throw strangeAnswer(addr, cause)
  }
  if (roots.includes(namedPem)) return roots
  throw strangeAnswer(addr, 'it left out the root that the token names')
}

const strangeAnswer = (addr: string, cause: unknown): SwarmctlError =>
  new SwarmctlError('UNAVAILABLE', `the node at ${addr} does not answer as a manager does`, {
    cause,
  })
