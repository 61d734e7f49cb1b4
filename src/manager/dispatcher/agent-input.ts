import { z } from 'zod'
import type { AgentMessage, SessionRequest } from '../../api/assignment.ts'
import { PORTS_MAX } from '../../api/defaults.ts'
import { invalid } from '../../api/errors.ts'
import { HOST_SUBNETS_MAX } from '../../api/host-subnets.ts'
import { parseCidr, parseIpv4 } from '../../api/ipv4.ts'
import { parseIpv6Cidr } from '../../api/ipv6.ts'
import { isTooDeep, NESTING_MAX } from '../../api/nesting.ts'
import { GenericResources } from '../../api/service-spec.ts'
import { TASK_STATE_ORDER, type TaskState } from '../../api/task-state.ts'
import type { NodeUsage } from '../../api/usage.ts'

/**
 * What agents say, checked: a worker is trusted with its own tasks, not with the managers and not with the other nodes, whose
 * kernels are programmed with its addresses. Unknown properties pass, for newer agents.
 */

/** Characters of a line that a node says (the rest is cut off), and items of a list. */
const TEXT_MAX = 4096
const LIST_MAX = 1024
/** Characters of the roots that a node trusts: two while one is rotated, each of some 2 kB with the longest keys. */
const TRUST_ROOT_MAX = 65_536
/** Statuses in one message; an agent sends those of its own tasks. */
const UPDATES_MAX = 65_536

/**
 * Characters of a status as JSON: room for a message, an error and PORTS_MAX ports. Statuses of many nodes share a transaction, and one that
 * is larger than a transaction may be would fail those of the others, too.
 */
const STATUS_MAX = 524_288

const text = z.string().transform((value) => value.slice(0, TEXT_MAX))
// What only describes is not worth a node: an Engine that says it strangely is one all the same.
const word = text.catch('')
const amount = z.number().min(0).catch(0)
const count = z.number().or(z.nan())
const ipv4 = z.string().refine((value) => value === '' || parseIpv4(value) !== undefined)
const cidr = z.string().refine((value) => parseCidr(value) !== undefined)
const ipv6Cidr = z.string().refine((value) => parseIpv6Cidr(value) !== undefined)
/** Which of them count is the allocator's matter. */
const hostSubnets = (range: typeof cidr) =>
  z
    .array(range)
    .max(LIST_MAX)
    .transform((ranges) => ranges.slice(0, HOST_SUBNETS_MAX))
/** `host:port` without anything that a URL, a command or a script could take for more. */
const address = z
  .string()
  .max(300)
  .regex(/^([\w.:[\]-]*:\d{1,5})?$/)

const Description = z.looseObject({
  Hostname: z
    .string()
    .max(253)
    .regex(/^[^\s\p{Cc}]*$/u),
  Platform: z.looseObject({ Architecture: word, OS: word }),
  Resources: z.looseObject({
    NanoCPUs: amount,
    MemoryBytes: amount,
    GenericResources: GenericResources.max(LIST_MAX).catch([]).optional(),
  }),
  Engine: z.looseObject({
    EngineVersion: word,
    Labels: z.record(z.string(), z.string()).catch({}),
    Plugins: z
      .array(z.looseObject({ Type: word, Name: word }))
      .max(LIST_MAX)
      .catch([]),
  }),
  TLSInfo: z
    .looseObject({
      TrustRoot: z.string().max(TRUST_ROOT_MAX),
      CertIssuerSubject: z.string().max(TEXT_MAX),
      CertIssuerPublicKey: z.string().max(TEXT_MAX),
    })
    .optional(),
  Swarmctl: z.looseObject({
    Version: word,
    DataPlane: z.enum(['kernel', 'proxy']),
    DataPathAddr: ipv4,
    EngineError: text,
    DataPlaneNote: text,
    IPv6: z.boolean().optional(),
    HostSubnets: hostSubnets(cidr),
    HostSubnets6: hostSubnets(ipv6Cidr).optional(),
  }),
})

const Request = z.looseObject({
  nodeId: z.string(),
  description: Description,
  addr: address,
})

const Status = z
  .looseObject({
    Timestamp: text,
    State: z.enum(Object.keys(TASK_STATE_ORDER) as [TaskState, ...TaskState[]]),
    Message: text,
    Err: text.optional(),
    ContainerStatus: z
      .looseObject({ ContainerID: z.string(), PID: count, ExitCode: count })
      .optional(),
    PortStatus: z
      .looseObject({ Ports: z.array(z.looseObject({})).max(PORTS_MAX).optional() })
      .optional(),
  })
  .refine((status) => JSON.stringify(status).length <= STATUS_MAX, 'too large')

const Message = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('heartbeat') }),
  z.looseObject({
    kind: z.literal('task-status'),
    updates: z.array(z.looseObject({ taskId: z.string(), status: Status })).max(UPDATES_MAX),
  }),
  z.looseObject({ kind: z.literal('overlay-applied'), version: z.number().int().min(0) }),
  z.looseObject({ kind: z.literal('description'), description: Description }),
])

/** What is computed with; the rest is only shown. */
const Usage = z.looseObject({
  AtMs: z.number(),
  Tasks: z
    .array(
      z.looseObject({ TaskID: z.string(), CPUTotal: z.number().min(0), Memory: z.number().min(0) }),
    )
    .max(UPDATES_MAX),
})

const read = (schema: z.ZodType, what: string, body: unknown): unknown => {
  if (isTooDeep(body)) {
    throw invalid(`${what} of the agent is not valid: more than ${NESTING_MAX} levels`)
  }
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalid(`${what} of the agent is not valid: ${issue?.path.join('.')}: ${issue?.message}`)
}

/** Each throws INVALID_ARGUMENT. */
export const readSessionRequest = (body: unknown): SessionRequest =>
  read(Request, 'the registration', body) as SessionRequest

export const readAgentMessage = (body: unknown): AgentMessage =>
  read(Message, 'a message', body) as AgentMessage

/** A node tells of itself alone. */
export const readUsage = (nodeId: string, body: unknown): NodeUsage => ({
  ...(read(Usage, 'the usage', body) as NodeUsage),
  NodeID: nodeId,
})
