import { z } from 'zod'

export const labels = z.record(z.string(), z.string())
export const strings = z.array(z.string())
export const count = z.number().int().nonnegative()
/** A number, or a share such as `25%`. */
export const countOrShare = z.union([
  count,
  z.string().regex(/^\d+%$/, 'must be a number or a share such as 25%'),
])
const PORT_MAX = 65535
export const portNumber = z.number().int().min(1).max(PORT_MAX)
/** 0 stands for no port, as in objects that a program wrote. */
export const portOrNone = z
  .number()
  .int()
  .min(0)
  .max(PORT_MAX)
  .transform((port) => (port === 0 ? undefined : port))
  .optional()
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
