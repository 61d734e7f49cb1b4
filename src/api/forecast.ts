import { z } from 'zod'

/** Body of `POST /swarmctl/forecast`: services as they are to be, in the order in which they are to be placed. */
export const ForecastRequest = z.object({
  /** Specs; each in place of the service of that name, if there is one. */
  Services: z.array(z.unknown()).default([]),
  /** Names of services that are to go. */
  Removed: z.array(z.string()).default([]),
})
export type ForecastRequest = z.infer<typeof ForecastRequest>

/** Where the scheduler would put a service's tasks now. */
export interface ServiceForecast {
  Service: string
  /** Tasks that it wants. */
  Wanted: number
  /** Tasks of an existing service that the change ends and makes anew; all of a new one. */
  Replaced: number
  Placed: { NodeID: string; Hostname: string; Tasks: number }[]
  /** Tasks without a node, with why; the same reason once. */
  Unplaced: { Tasks: number; Reason: string }[]
}
