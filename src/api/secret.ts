import { z } from 'zod'
import type { Meta } from './meta.ts'

const labels = z.record(z.string(), z.string())

export const SecretSpec = z.object({
  Name: z.string().default(''),
  Labels: labels.default({}),
  /** Base64. Absent in every answer. */
  Data: z.string().optional(),
  Driver: z.object({ Name: z.string(), Options: labels.optional() }).optional(),
  Templating: z.object({ Name: z.string(), Options: labels.optional() }).optional(),
})
export type SecretSpec = z.infer<typeof SecretSpec>

export interface Secret extends Meta {
  Spec: SecretSpec
  /** Only in answers. */
  Swarmctl?: {
    /** Of the data: hex SHA-256, so that a client can tell whether a file holds the same. Whoever may ask may mount the secret as well. */
    Digest: string
  }
}
