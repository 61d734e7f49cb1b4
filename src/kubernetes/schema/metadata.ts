import { z } from 'zod'

export const labels = z.record(z.string(), z.string())
export const strings = z.array(z.string())
export const count = z.number().int().nonnegative()
/** A number, or a share such as `25%`. */
export const countOrShare = z.union([
  count,
  z.string().regex(/^\d+%$/, 'must be a number or a share such as 25%'),
])
export const portNumber = z.number().int().min(1).max(65535)
export const protocol = z.enum(['TCP', 'UDP', 'SCTP'])
export const nameValue = z.strictObject({ name: z.string(), value: z.string() })
export const quantity = z.union([z.string(), z.number()])

/** `metadata`: what others wrote into an object that was read back is passed over. */
export const Metadata = z.looseObject({
  name: z.string().optional(),
  namespace: z.string().optional(),
  labels: labels.optional(),
  annotations: labels.optional(),
})
