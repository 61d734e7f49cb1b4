import { z } from 'zod'
import { invalid } from '../../api/errors.ts'

const text = (charactersMax: number) => z.string().max(charactersMax)

/** Body of `ca.join`: it comes from strangers, so everything has a limit. */
const JoinBody = z.object({
  csrPem: text(8192),
  token: text(128),
  info: z
    .object({
      availability: z.enum(['active', 'pause', 'drain']).default('active'),
      /** host:port of the node's cluster port; with an empty or unspecified host the address that it came from is taken. */
      addr: text(300).default(''),
      hostname: text(253).default(''),
      /** UDP port of VXLAN that the daemon was started with; absent: it does not say. */
      dataPathPort: z.number().int().optional(),
    })
    .default({ availability: 'active', addr: '', hostname: '' }),
})
export type JoinBody = z.infer<typeof JoinBody>

/** A follower passes a join on with the address that it came from. */
const ForwardedJoin = z.object({ join: JoinBody, remoteIp: text(100) })
export type ForwardedJoin = z.infer<typeof ForwardedJoin>

const RenewBody = z.object({ csrPem: text(8192) })
export type RenewBody = z.infer<typeof RenewBody>

/** A follower passes a renewal on with the node that asked for it. */
const ForwardedRenew = z.object({ csrPem: text(8192), nodeId: text(64) })
export type ForwardedRenew = z.infer<typeof ForwardedRenew>

const read = <T>(schema: z.ZodType<T>, body: unknown): T => {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw invalid(`invalid request to the CA: ${result.error.issues[0]?.message ?? 'unreadable'}`)
}

/** Each throws INVALID_ARGUMENT. */
export const readJoin = (body: unknown): JoinBody => read(JoinBody, body)
export const readForwardedJoin = (body: unknown): ForwardedJoin => read(ForwardedJoin, body)
export const readRenew = (body: unknown): RenewBody => read(RenewBody, body)
export const readForwardedRenew = (body: unknown): ForwardedRenew => read(ForwardedRenew, body)

const UNSPECIFIED = new Set(['', '0.0.0.0', '::'])

/** The address that others reach a node at: what it said, or where it came from with the port that it said. */
export const reachableAddr = (
  said: { host: string; port: number },
  remoteIp: string,
): { host: string; port: number } => ({
  host: UNSPECIFIED.has(said.host) ? remoteIp : said.host,
  port: said.port,
})
