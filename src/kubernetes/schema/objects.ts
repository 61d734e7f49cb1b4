import { z } from 'zod'
import {
  count,
  countOrShare,
  labels,
  Metadata,
  portNumber,
  portOrNone,
  protocol,
  quantity,
  strings,
} from './metadata.ts'
import { PodTemplate } from './pod.ts'

const head = { apiVersion: z.string(), kind: z.string(), metadata: Metadata }
/** What a cluster wrote into an object that was read back. */
const status = z.unknown().optional()

const selector = z.strictObject({ matchLabels: labels })

const rollingUpdate = z
  .strictObject({ maxUnavailable: countOrShare.optional(), maxSurge: countOrShare.optional() })
  .optional()

export const Deployment = z.strictObject({
  ...head,
  status,
  spec: z.strictObject({
    replicas: count.optional(),
    selector,
    template: PodTemplate,
    strategy: z
      .strictObject({ type: z.enum(['RollingUpdate', 'Recreate']).optional(), rollingUpdate })
      .optional(),
    minReadySeconds: count.optional(),
    revisionHistoryLimit: count.optional(),
    progressDeadlineSeconds: count.optional(),
  }),
})

export const DaemonSet = z.strictObject({
  ...head,
  status,
  spec: z.strictObject({
    selector,
    template: PodTemplate,
    updateStrategy: z
      .strictObject({ type: z.enum(['RollingUpdate']).optional(), rollingUpdate })
      .optional(),
    minReadySeconds: count.optional(),
    revisionHistoryLimit: count.optional(),
  }),
})

const jobSpec = z.strictObject({
  template: PodTemplate,
  completions: z.number().int().min(1).optional(),
  parallelism: count.optional(),
  backoffLimit: count.optional(),
  completionMode: z.literal('NonIndexed').optional(),
  suspend: z.literal(false).optional(),
})

export const Job = z.strictObject({ ...head, status, spec: jobSpec })

export const CronJob = z.strictObject({
  ...head,
  status,
  spec: z.strictObject({
    schedule: z.string(),
    timeZone: z.string().optional(),
    concurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']).optional(),
    startingDeadlineSeconds: count.optional(),
    suspend: z.boolean().optional(),
    successfulJobsHistoryLimit: count.optional(),
    failedJobsHistoryLimit: count.optional(),
    jobTemplate: z.strictObject({ metadata: Metadata.optional(), spec: jobSpec }),
  }),
})

export const KubernetesService = z.strictObject({
  ...head,
  status,
  spec: z.strictObject({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).optional(),
    clusterIP: z.string().optional(),
    clusterIPs: strings.optional(),
    selector: labels.refine((given) => Object.keys(given).length > 0, 'must not be empty'),
    ports: z
      .array(
        z.strictObject({
          name: z.string().optional(),
          port: portNumber,
          targetPort: z.union([z.number().int(), z.string()]).optional(),
          nodePort: portOrNone,
          protocol: protocol.optional(),
          appProtocol: z.string().optional(),
        }),
      )
      .optional(),
    // A node port that is named is taken.
    allocateLoadBalancerNodePorts: z.literal(true).optional(),
    externalTrafficPolicy: z.literal('Cluster').optional(),
    internalTrafficPolicy: z.literal('Cluster').optional(),
    sessionAffinity: z.literal('None').optional(),
    ipFamilies: z.array(z.literal('IPv4')).optional(),
    ipFamilyPolicy: z.enum(['SingleStack', 'PreferDualStack']).optional(),
    publishNotReadyAddresses: z.literal(false).optional(),
  }),
})

export const ConfigMap = z.strictObject({
  ...head,
  data: labels.optional(),
  binaryData: labels.optional(),
  immutable: z.boolean().optional(),
})

export const KubernetesSecret = z.strictObject({
  ...head,
  type: z.string().optional(),
  /** Base64. */
  data: labels.optional(),
  stringData: labels.optional(),
  immutable: z.boolean().optional(),
})

const accessMode = z
  .string()
  .refine(
    (mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod',
    'must be ReadWriteOnce or ReadWriteOncePod: a volume is a folder of one node',
  )

/** Of the clusters that people try things with: their volumes are folders of a node, too. */
const LOCAL_CLASSES = ['', 'standard', 'default', 'local-path', 'hostpath']

const storageClass = z
  .string()
  .refine(
    (name) => LOCAL_CLASSES.includes(name),
    'must be left out: a volume is a folder of a node, there is no class of storage to choose',
  )

export const PersistentVolumeClaim = z.strictObject({
  ...head,
  status,
  spec: z.strictObject({
    accessModes: z.array(accessMode).optional(),
    resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }).optional(),
    volumeMode: z.literal('Filesystem').optional(),
    storageClassName: storageClass.optional(),
  }),
})

/** It exists with the first object in it, so that there is nothing to say of it. */
export const Namespace = z.strictObject({
  ...head,
  status,
  spec: z.strictObject({ finalizers: strings.optional() }).optional(),
})

export type Deployment = z.infer<typeof Deployment>
export type DaemonSet = z.infer<typeof DaemonSet>
export type Job = z.infer<typeof Job>
export type CronJob = z.infer<typeof CronJob>
export type KubernetesService = z.infer<typeof KubernetesService>
export type ConfigMap = z.infer<typeof ConfigMap>
export type KubernetesSecret = z.infer<typeof KubernetesSecret>
export type PersistentVolumeClaim = z.infer<typeof PersistentVolumeClaim>
