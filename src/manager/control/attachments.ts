import { timestamp } from '../../api/clock.ts'
import { invalid, precondition, SwarmctlError, unavailable } from '../../api/errors.ts'
import type { Network } from '../../api/network.ts'
import {
  ATTACHMENT_RUNTIME,
  AttachRequest,
  attachedContainer,
  isAttachment,
} from '../../api/network-attachment.ts'
import { isNodeLocal } from '../../api/node-local-network.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal } from '../../api/task-state.ts'
import { PREDEFINED_LABEL } from '../../api/validate/network.ts'
import { poolOf } from '../allocator/subnets.ts'
import { allocateTaskAddresses, isAvailable } from '../allocator/task-addresses.ts'
import { newMeta } from '../store/new-meta.ts'
import type { Tx } from '../store/tx.ts'
import type { View } from '../store/view.ts'
import { markAttached } from './attached-mark.ts'
import type { ControlDeps } from './context.ts'
import { find } from './resolve.ts'
import type { Turns } from './turns.ts'

/** Attachments of one node on one network: Linux takes 1024 ports on a bridge, and a node must not fill the managers' state. */
export const ATTACHMENTS_MAX = 1_000

export interface AttachDeps extends Pick<ControlDeps, 'store' | 'clock' | 'newId'> {
  /**
   * One request for a container at a time: a node that got no answer in time asks again, and the first request may still be under way. Its
   * attachment on a node-local network has no address that only one could claim.
   */
  turns: Turns
}

/**
 * Gives a container that is no service's its place on an attachable network: a task that stands for it on its node, as in swarmkit
 * (`manager/resourceapi`). It holds the address and the names until the node says that the container has ended, or the node is removed.
 */
export const attach = async (deps: AttachDeps, nodeId: string, body: unknown): Promise<Task> => {
  const parsed = AttachRequest.safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`an attachment's ${issue?.path.join('.')} is not valid: ${issue?.message}`)
  }
  return deps.turns.run(`${nodeId} ${parsed.data.containerId}`, () =>
    secure(deps, nodeId, parsed.data),
  )
}

/** The container's attachment, which is there or is made. */
const secure = async (deps: AttachDeps, nodeId: string, request: AttachRequest): Promise<Task> => {
  const id = deps.newId()
  const now = timestamp(deps.clock)
  let written = id
  // One that has just lost the lead must not say no by what it has.
  await deps.store.readBarrier()
  await deps.store.update((tx) => {
    const network = requireAttachable(tx, request.network)
    const held = heldOn(tx, nodeId, network)
    const present = presentOf(held, request)
    if (!present && !request.isRunning) requireActive(tx, nodeId)
    if (!present && held.length >= ATTACHMENTS_MAX) throw full(network)
    // One that is present is written anew, which fails when it has gone, and the network can't go before it.
    if (!present) markAttached(tx, network)
    written = present?.ID ?? id
    const task = present
      ? renamed(present, request)
      : newAttachment(tx, { id, nodeId, network, now }, request)
    tx.put('task', task)
  })
  const task = deps.store.view().get('task', written)
  if (task === undefined) throw unavailable('the attachment was removed meanwhile: try again')
  return task
}

/** @throws SwarmctlError NOT_FOUND, PERMISSION_DENIED with swarmkit's words; UNAVAILABLE before the network has its subnet */
const requireAttachable = (view: View, reference: string): Network => {
  const network = find(view, 'network', reference)
  if (network === undefined || network.Spec.Labels[PREDEFINED_LABEL] !== undefined) {
    throw new SwarmctlError('NOT_FOUND', `network ${reference} not found`)
  }
  if (!network.Spec.Attachable) {
    throw new SwarmctlError('PERMISSION_DENIED', `network ${reference} not manually attachable`)
  }
  if (!isNodeLocal(network) && poolOf(network) === undefined) {
    throw unavailable(`network ${network.Spec.Name} has no subnet yet: try again`)
  }
  return network
}

/** What swarmkit's scheduler asks of a task's node, attachments' included; there the client is told after 20 s that nothing happened. */
const requireActive = (view: View, nodeId: string): void => {
  const node = view.get('node', nodeId)
  if (node === undefined || node.Spec.Availability === 'active') return
  const [name, state] = [node.Description.Hostname, STATES[node.Spec.Availability]]
  throw precondition(
    `node ${name} is ${state} and takes no new containers: use another node, or set it to active`,
  )
}

const STATES = { pause: 'paused', drain: 'drained' } as const

const full = ({ Spec: { Name } }: Network): SwarmctlError =>
  precondition(
    `network ${Name} has ${ATTACHMENTS_MAX} containers on this node, which is the most: remove some`,
  )

/** The node's attachments on the network. */
const heldOn = (view: View, nodeId: string, network: Network): Task[] =>
  view
    .tasksByNode(nodeId)
    .filter(
      (task) =>
        isAttachment(task) &&
        !isTerminal(task.Status.State) &&
        task.NetworksAttachments?.[0]?.Network.ID === network.ID,
    )

/** The one that the request names, else the container's own. */
const presentOf = (
  held: readonly Task[],
  { containerId, taskId }: AttachRequest,
): Task | undefined =>
  held.find(({ ID }) => ID === taskId) ??
  held.find((task) => attachedContainer(task) === containerId)

const renamed = (task: Task, { containerId, name, aliases }: AttachRequest): Task => ({
  ...task,
  Spec: { ...task.Spec, NetworkAttachmentSpec: { ContainerID: containerId } },
  NetworksAttachments: (task.NetworksAttachments ?? []).map((one) => ({
    ...one,
    Aliases: aliases,
  })),
  Swarmctl: { ...task.Swarmctl, ContainerName: name },
})

const newAttachment = (
  tx: Tx,
  origin: { id: string; nodeId: string; network: Network; now: string },
  request: AttachRequest,
): Task => {
  const { id, nodeId, network, now } = origin
  const { address, aliases, isFixed } = request
  const isAsked = address !== '' && (isFixed || isAvailable(tx, network, address))
  const task: Task = {
    ...newMeta(id),
    Labels: {},
    Spec: {
      Runtime: ATTACHMENT_RUNTIME,
      NetworkAttachmentSpec: { ContainerID: request.containerId },
      Networks: [{ Target: network.ID, ...(isAsked && { Swarmctl: { IPv4Address: address } }) }],
    },
    ServiceID: '',
    NodeID: nodeId,
    Status: { Timestamp: now, State: 'assigned', Message: 'attached by its node' },
    DesiredState: 'running',
    NetworksAttachments: [{ Network: network, Addresses: [], Aliases: aliases }],
    Swarmctl: {
      SpecVersion: 0,
      ServiceName: '',
      ServiceLabels: {},
      Endpoint: {},
      DrainLimit: 0,
      ContainerName: request.name,
    },
  }
  return allocateTaskAddresses(tx, task, nodeId)
}
