import { z } from 'zod'

/** How a service's number of replicas follows its use: `Swarmctl.Autoscale` of a spec. With several targets the largest number counts. */
export const Autoscale = z.object({
  /** Fewest tasks; default 1. */
  Min: z.number().int().positive().optional(),
  /** Most tasks. */
  Max: z.number().int().positive(),
  /** CPU that tasks should use on average, in percent of what a task reserves, else of its limit. */
  CpuPercent: z.number().int().positive().optional(),
  /** The same for memory. */
  MemoryPercent: z.number().int().positive().optional(),
  /** CPU that tasks should use on average, 1e-9 of a core. */
  NanoCpus: z.number().int().positive().optional(),
  /** Memory that tasks should use on average. */
  MemoryBytes: z.number().int().positive().optional(),
  /** Nanoseconds for which fewer tasks must have been enough before some are taken away; default 300 s. */
  ScaleDownWindow: z.number().int().nonnegative().optional(),
})
export type Autoscale = z.infer<typeof Autoscale>

/** The last change of a service's replicas by the autoscaler, as it is stored with the service. */
export interface Autoscaled {
  /** RFC 3339. */
  At: string
  From: number
  To: number
  Reason: string
}

/** One target of a service, and what was measured. */
export interface AutoscaleMetric {
  Name: 'cpu' | 'memory'
  /** Of `Target` and `Average`. */
  Unit: 'percent' | 'nanocpus' | 'bytes'
  Target: number
  /** Of the tasks that are known; absent: of none. */
  Average?: number
  /** How many tasks it calls for. */
  Replicas?: number
}

/** `GET /services/{id}/autoscale`: what the leader's autoscaler saw and did last. It is not stored: a new leader's is empty at first. */
export interface AutoscaleReport {
  ServiceID: string
  /** RFC 3339; absent: this leader has not looked yet. */
  At?: string
  /** Wanted tasks: whose use is known, that start, and whose node tells nothing. */
  Tasks: { Reported: number; Starting: number; Unknown: number }
  Metrics: AutoscaleMetric[]
  /** What it did, or why it did nothing. */
  Message: string
}
