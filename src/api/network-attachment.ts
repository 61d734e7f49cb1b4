import { z } from 'zod'
import type { Task } from './task.ts'

/** The rpc request by which a node asks the leader for a container's place on a network. The answer is the attachment, a `Task`. */
export const ATTACH_METHOD = 'network.attach'

/** What `Spec.Runtime` says of an attachment, and the filter `runtime` of `GET /tasks`. */
export const ATTACHMENT_RUNTIME = 'attachment'

/** Names that one container may have on a network; each is answered by every node's DNS. */
const ALIASES_MAX = 64
/** Characters of a name (RFC 1035). */
const NAME_MAX = 253

const name = z.string().max(NAME_MAX)

/**
 * A container outside of the cluster's services that is to be on an attachable network. Asking again for the same container and network
 * changes the names of what is there.
 */
export const AttachRequest = z.object({
  /** The Engine's id, or a provisional one as long as there is no container yet. */
  containerId: z.string().min(1).max(128),
  /** The container's name without its slash; empty while it has none. */
  name,
  /** Id, name or beginning of the id. */
  network: z.string().min(1),
  /** IPv4 without mask; empty: any. */
  address: z.string(),
  /** Whether only that address will do; else another one is given when somebody has it. */
  isFixed: z.boolean(),
  /** Whether it runs on the network already: then there is nothing left to allow. */
  isRunning: z.boolean(),
  aliases: z.array(name.min(1)).max(ALIASES_MAX),
  /** The attachment under a provisional id that becomes this container's. */
  taskId: z.string().optional(),
})
export type AttachRequest = z.infer<typeof AttachRequest>

/** Whether a task stands for a container that somebody runs by hand (`docker run --network`): it belongs to no service. */
export const isAttachment = (task: Task): boolean => task.Spec.NetworkAttachmentSpec !== undefined

/** Id of the container that an attachment stands for. */
export const attachedContainer = (task: Task): string =>
  task.Spec.NetworkAttachmentSpec?.ContainerID ?? ''
