import { z } from 'zod'
import { count, Metadata, quantity } from './metadata.ts'

const positive = z.number().int().positive()

const shared = {
  scaleTargetRef: z.strictObject({
    apiVersion: z.string().optional(),
    kind: z.string(),
    name: z.string(),
  }),
  minReplicas: positive.optional(),
  maxReplicas: positive,
}

const head = {
  apiVersion: z.string(),
  kind: z.string(),
  metadata: Metadata,
  /** What a cluster wrote into an object that was read back. */
  status: z.unknown().optional(),
}

/** `autoscaling/v1`. */
export const AutoscalerV1 = z.strictObject({
  ...head,
  spec: z.strictObject({ ...shared, targetCPUUtilizationPercentage: positive.optional() }),
})

const policy = z.strictObject({ type: z.string(), value: count, periodSeconds: count })

const rules = z.strictObject({
  stabilizationWindowSeconds: count.optional(),
  policies: z.array(policy).optional(),
  selectPolicy: z.string().optional(),
})

/** `autoscaling/v2`. */
export const AutoscalerV2 = z.strictObject({
  ...head,
  spec: z.strictObject({
    ...shared,
    // Of other types each has its own fields, so that the type is looked at first.
    metrics: z.array(z.looseObject({ type: z.string() })).optional(),
    behavior: z.strictObject({ scaleUp: rules.optional(), scaleDown: rules.optional() }).optional(),
  }),
})

export const ResourceMetric = z.strictObject({
  type: z.literal('Resource'),
  resource: z.strictObject({
    name: z.enum(['cpu', 'memory']),
    target: z.strictObject({
      type: z.enum(['Utilization', 'AverageValue']),
      averageUtilization: positive.optional(),
      averageValue: quantity.optional(),
    }),
  }),
})

export type AutoscalerV1 = z.infer<typeof AutoscalerV1>
export type AutoscalerV2 = z.infer<typeof AutoscalerV2>
export type ResourceMetric = z.infer<typeof ResourceMetric>
export type ScaleRules = z.infer<typeof rules>
