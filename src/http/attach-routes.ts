import type { AttachmentWish, GrantedAttachment } from '../api/attachment-grant.ts'
import type { AttachmentRecord } from '../api/attachment-record.ts'
import { notFound, unavailable } from '../api/errors.ts'
import {
  ContainerCreate,
  connectWish,
  createWish,
  NetworkMember,
  networksOf,
  withGrant,
  withGrants,
} from './attachment-bodies.ts'
import { asWritten, parseJson, readBody } from './body.ts'
import { callEngine, type EngineAnswer, sendAnswer } from './engine-call.ts'
import { findOverlayBridge, overlayBridges } from './engine-networks.ts'
import { engineJson, passToEngine } from './engine-proxy.ts'
import { findSwarmNetwork } from './find-network.ts'
import { isManager } from './membership.ts'
import { orUndefined } from './or-undefined.ts'
import type { NetworkAttachments } from './ports.ts'
import type { Exchange, Route } from './routes.ts'
import { param } from './routes.ts'

/** How long a request waits for a node that resumes, and between looks. Milliseconds. */
const RESUME_WAIT_MAX_MS = 5000
const RESUME_POLL_MS = 100

const isLocal = async ({ engine }: Exchange, name: string): Promise<boolean> =>
  (await orUndefined(engineJson(engine, `/networks/${encodeURIComponent(name)}`))) !== undefined

/** Whether the name may be one of the cluster's networks: a worker does not have them, and the leader is asked unless its Engine knows it. */
const mayBeSwarms = async (exchange: Exchange, name: string): Promise<boolean> =>
  isManager(exchange.port.status())
    ? (await findSwarmNetwork(exchange, name)) !== undefined
    : !(await isLocal(exchange, name))

/**
 * Undefined when only the Engine's networks can be meant. A daemon that has just begun resumes its node: what the Engine does not know
 * may be the cluster's then. @throws SwarmctlError UNAVAILABLE when that takes longer than RESUME_WAIT_MAX_MS
 */
const attachmentsFor = async (
  exchange: Exchange,
  networks: readonly string[],
): Promise<NetworkAttachments | undefined> => {
  const { clock, port } = exchange
  const isResuming = () => port.status().localNodeState === 'pending'
  if (networks.length === 0) return undefined
  if (!isResuming()) return port.attachments()
  const local = await Promise.all(networks.map((name) => isLocal(exchange, name)))
  if (!local.includes(false)) return undefined
  for (let waitedMs = 0; waitedMs < RESUME_WAIT_MAX_MS; waitedMs += RESUME_POLL_MS) {
    if (!isResuming()) return port.attachments()
    await new Promise<void>((resolve) => clock.schedule(RESUME_POLL_MS, resolve))
  }
  throw unavailable('this node does not take part in its swarm yet: try again')
}

/** A place on the network; undefined when it is the Engine's own affair, as a name that nobody knows is. */
const claim = async (
  exchange: Exchange,
  attachments: NetworkAttachments,
  wish: AttachmentWish,
): Promise<GrantedAttachment | undefined> =>
  (await mayBeSwarms(exchange, wish.network)) ? orUndefined(attachments.claim(wish)) : undefined

/** Sends the Engine's answer; its errors name the network as the client does. */
const send = (
  { response }: Exchange,
  answer: EngineAnswer,
  grants: Iterable<{ dockerNetwork: string; record: Pick<AttachmentRecord, 'networkName'> }> = [],
): void => {
  if (answer.status < 400) return sendAnswer(response, answer)
  let text = answer.body.toString()
  for (const { dockerNetwork, record } of grants)
    text = text.replace(new RegExp(`${dockerNetwork}\\b`, 'g'), record.networkName)
  sendAnswer(response, { ...answer, body: Buffer.from(text) })
}

/** What the Engine answers; then, whatever that was, the cluster gets to know how the container is. */
const thenRefresh = async (
  attachments: NetworkAttachments,
  containerId: string,
  call: () => Promise<EngineAnswer>,
): Promise<EngineAnswer> => {
  try {
    return await call()
  } finally {
    await attachments.refresh(containerId)
  }
}

const isSameNetwork = (a: GrantedAttachment, b: GrantedAttachment): boolean =>
  a.endpoint.dockerNetwork === b.endpoint.dockerNetwork

const releaseAll = async (
  attachments: NetworkAttachments,
  grants: Iterable<GrantedAttachment>,
): Promise<void> => {
  for (const { taskId } of grants) await attachments.release(taskId)
}

interface ContainerJson {
  Id: string
  Name: string
}

const inspect = async ({ engine }: Exchange, reference: string) => {
  const path = `/containers/${encodeURIComponent(reference)}/json`
  const { Id, Name } = (await engineJson(engine, path)) as ContainerJson
  return { id: Id, name: Name.replace(/^\//, '') }
}

const create = async (exchange: Exchange): Promise<void> => {
  const bytes = await readBody(exchange.request)
  const body = (parseJson(bytes, ContainerCreate, asWritten) ?? {}) as ContainerCreate
  const names = networksOf(body)
  const attachments = await attachmentsFor(exchange, names)
  if (attachments === undefined) return passToEngine(exchange, bytes)
  const grants = new Map<string, GrantedAttachment>()
  try {
    for (const name of names) {
      const grant = await claim(exchange, attachments, createWish(body, name))
      if (grant === undefined) continue
      // The network's id in one place, its name in the other.
      const same = [...grants.values()].find((one) => isSameNetwork(one, grant))
      if (same !== undefined) await attachments.release(grant.taskId)
      grants.set(name, same ?? grant)
    }
    if (grants.size === 0) return passToEngine(exchange, bytes)
    const answer = await callEngine(exchange, { body: withGrants(body, grants) })
    if (answer.status === 201) await bind(exchange, attachments, grants.values(), answer)
    else await releaseAll(attachments, grants.values())
    send(
      exchange,
      answer,
      [...grants.values()].map(({ endpoint }) => endpoint),
    )
  } catch (error) {
    await releaseAll(attachments, grants.values())
    throw error
  }
}

/** A container whose claim could not be made its own gets its place when it is started. */
const bind = async (
  exchange: Exchange,
  attachments: NetworkAttachments,
  grants: Iterable<GrantedAttachment>,
  answer: EngineAnswer,
): Promise<void> => {
  const { Id } = JSON.parse(answer.body.toString()) as { Id: string }
  try {
    const container = await inspect(exchange, Id)
    for (const grant of grants) await attachments.bind(grant, container)
  } catch {
    await releaseAll(attachments, grants)
  }
}

const memberOf = (bytes: Buffer): NetworkMember => {
  const body = (parseJson(bytes, NetworkMember, asWritten) ?? {}) as Partial<NetworkMember>
  return { ...body, Container: String(body.Container ?? '') }
}

const memberContainer = async (exchange: Exchange, { Container }: NetworkMember) =>
  Container === '' ? undefined : orUndefined(inspect(exchange, Container))

const connect = async (exchange: Exchange): Promise<void> => {
  const bytes = await readBody(exchange.request)
  const network = param(exchange, 'id')
  const attachments = await attachmentsFor(exchange, [network])
  if (attachments === undefined) return passToEngine(exchange, bytes)
  if (!(await mayBeSwarms(exchange, network))) return connectLocally(exchange, network, bytes)
  const body = memberOf(bytes)
  const container = await memberContainer(exchange, body)
  if (container === undefined) throw notFound(`No such container: ${body.Container}`)
  const grant = await orUndefined(
    attachments.claim(connectWish(network, body.EndpointConfig, container)),
  )
  if (grant === undefined) return connectLocally(exchange, network, bytes)
  const { endpoint } = grant
  const url = `/networks/${endpoint.dockerNetwork}/connect`
  // The refresh gives back what the Engine refuses, and what is needed only once the container runs.
  const answer = await thenRefresh(attachments, container.id, () =>
    callEngine(exchange, { url, body: withGrant(body, grant) }),
  )
  send(exchange, answer, [endpoint])
}

/** A network that neither the Engine nor the cluster knows is refused in a swarm's words. */
const connectLocally = async (exchange: Exchange, network: string, body: Buffer): Promise<void> => {
  const answer = await callEngine(exchange, { body })
  const isUnknown = answer.status === 404 && answer.body.includes(`network ${network} not found`)
  if (!isUnknown) return send(exchange, answer)
  throw notFound(`Could not attach to network ${network}: network ${network} not found`)
}

/** The bridge of the cluster's network of this name, with the network's name; undefined when it is none of the cluster's. */
const bridgeOf = async (
  exchange: Exchange,
  reference: string,
): Promise<{ dockerNetwork: string; record: { networkName: string } } | undefined> => {
  if (!isManager(exchange.port.status())) {
    const bridge = await findOverlayBridge(exchange.engine, reference)
    return bridge && { dockerNetwork: bridge.Name, record: { networkName: reference } }
  }
  const network = await findSwarmNetwork(exchange, reference)
  if (network === undefined) return undefined
  const [bridge] = await overlayBridges(exchange.engine, network.ID)
  if (bridge === undefined) throw notFound(`network ${network.Spec.Name} not found`)
  return { dockerNetwork: bridge.Name, record: { networkName: network.Spec.Name } }
}

const disconnect = async (exchange: Exchange): Promise<void> => {
  const bytes = await readBody(exchange.request)
  const attachments = exchange.port.attachments()
  const bridge = attachments && (await bridgeOf(exchange, param(exchange, 'id')))
  if (attachments === undefined || bridge === undefined) return passToEngine(exchange, bytes)
  const body = memberOf(bytes)
  const container = await memberContainer(exchange, body)
  const url = `/networks/${bridge.dockerNetwork}/disconnect`
  const call = () => callEngine(exchange, { url, body })
  if (container === undefined) return send(exchange, await call(), [bridge])
  attachments.hold(container.id)
  send(exchange, await thenRefresh(attachments, container.id, call), [bridge])
}

/** The container's addresses are its own again before it runs, and its names are known when the answer comes. */
const start = async (exchange: Exchange): Promise<void> => {
  const attachments = exchange.port.attachments()
  const container = await attachments?.prepareStart(param(exchange, 'id'))
  if (attachments === undefined || container === undefined) return passToEngine(exchange)
  const answer = await thenRefresh(attachments, container.id, async () =>
    callEngine(exchange, { body: await readBody(exchange.request) }),
  )
  send(exchange, answer, container.endpoints)
}

/** The Engine's own endpoints, where a request may concern a network of the cluster's. */
export const attachRoutes: readonly Route[] = [
  { method: 'POST', path: '/containers/create', place: 'mixed', handle: create },
  { method: 'POST', path: '/containers/:id/start', place: 'local', handle: start },
  { method: 'POST', path: '/containers/:id/restart', place: 'local', handle: start },
  { method: 'POST', path: '/networks/:id/connect', place: 'mixed', handle: connect },
  { method: 'POST', path: '/networks/:id/disconnect', place: 'mixed', handle: disconnect },
]
