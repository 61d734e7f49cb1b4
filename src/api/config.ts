import { z } from 'zod'
import type { Meta } from './meta.ts'

const labels = z.record(z.string(), z.string())

export const ConfigSpec = z.object({
  Name: z.string().default(''),
  Labels: labels.default({}),
  /** Base64, at most 1000 KiB decoded. */
  Data: z.string().default(''),
  Templating: z.object({ Name: z.string(), Options: labels.optional() }).optional(),
})
export type ConfigSpec = z.infer<typeof ConfigSpec>

export interface Config extends Meta {
  Spec: ConfigSpec
}
