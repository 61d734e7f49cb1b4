import { z } from 'zod'

/**
 * The driver option of a container's endpoint that says what its attachment to a network of the cluster is: the Engine keeps it with the
 * container and hands it back, so that nothing else has to remember it. Bridges ignore options that they don't know.
 */
export const ATTACHMENT_OPTION = 'swarmctl.attachment'

/** What resolves a container's names; the Engine has the overlay's own servers in their place. */
const Resolver = z.object({
  nameservers: z.array(z.string()),
  options: z.array(z.string()),
  search: z.array(z.string()),
})
export type Resolver = z.infer<typeof Resolver>

const AttachmentRecord = z.object({
  networkId: z.string(),
  networkName: z.string(),
  /** As the user gave them. Not the Engine's: on the same host they would win over all other nodes' containers of the same alias. */
  aliases: z.array(z.string()),
  /** The user asked for this address: no other will do. */
  isFixed: z.boolean(),
  /** What the user asked for when the container was created; absent when it was connected later. */
  resolver: Resolver.optional(),
})
export type AttachmentRecord = z.infer<typeof AttachmentRecord>

/** The driver options with the record among them. */
export const withRecord = (
  options: Readonly<Record<string, string>> | null | undefined,
  record: AttachmentRecord,
): Record<string, string> => ({ ...options, [ATTACHMENT_OPTION]: JSON.stringify(record) })

/** The record among an endpoint's driver options; undefined where there is none that we wrote. */
export const readRecord = (
  options: Readonly<Record<string, string>> | null | undefined,
): AttachmentRecord | undefined => {
  const text = options?.[ATTACHMENT_OPTION]
  if (text === undefined) return undefined
  try {
    return AttachmentRecord.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The driver options as the user gave them. */
export const withoutRecord = (
  options: Readonly<Record<string, string>>,
): Record<string, string> | null => {
  const { [ATTACHMENT_OPTION]: _, ...others } = options
  return Object.keys(others).length === 0 ? null : others
}
