import { z } from 'zod'
import {
  count,
  labels,
  Metadata,
  nameValue,
  portNumber,
  portOrNone,
  protocol,
  quantity,
  strings,
} from './metadata.ts'

const keyRef = z.strictObject({
  name: z.string(),
  key: z.string(),
  optional: z.boolean().optional(),
})

/** `env[]`. */
export const EnvVar = z.strictObject({
  name: z.string().regex(/^[^=]+$/, 'must not be empty, nor have a "=" in it'),
  value: z.string().optional(),
  valueFrom: z
    .strictObject({
      configMapKeyRef: keyRef.optional(),
      secretKeyRef: keyRef.optional(),
      fieldRef: z
        .strictObject({ fieldPath: z.string(), apiVersion: z.string().optional() })
        .optional(),
    })
    .optional(),
})

const sourceRef = z.strictObject({ name: z.string(), optional: z.boolean().optional() })

/** `envFrom[]`. */
const envFrom = z.strictObject({
  prefix: z.string().optional(),
  configMapRef: sourceRef.optional(),
  secretRef: sourceRef.optional(),
})

const port = z.union([count, z.string()])

/** A probe of any of the three kinds. */
export const Probe = z.strictObject({
  exec: z.strictObject({ command: strings.min(1) }).optional(),
  httpGet: z
    .strictObject({
      path: z.string().optional(),
      port,
      scheme: z.enum(['HTTP', 'HTTPS']).optional(),
      httpHeaders: z.array(nameValue).optional(),
    })
    .optional(),
  tcpSocket: z.strictObject({ port }).optional(),
  initialDelaySeconds: count.optional(),
  periodSeconds: count.optional(),
  timeoutSeconds: count.optional(),
  successThreshold: z.literal(1).optional(),
  failureThreshold: count.optional(),
})

const resourceList = z.record(z.string(), quantity)

const seccompProfile = z.strictObject({ type: z.enum(['RuntimeDefault', 'Unconfined']) }).optional()

const securityContext = z.strictObject({
  runAsUser: count.optional(),
  runAsGroup: count.optional(),
  runAsNonRoot: z.boolean().optional(),
  readOnlyRootFilesystem: z.boolean().optional(),
  allowPrivilegeEscalation: z.boolean().optional(),
  privileged: z.boolean().optional(),
  capabilities: z.strictObject({ add: strings.optional(), drop: strings.optional() }).optional(),
  seccompProfile,
})

/** `containers[]`. */
export const Container = z.strictObject({
  name: z.string().optional(),
  image: z.string(),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  command: strings.optional(),
  args: strings.optional(),
  workingDir: z.string().optional(),
  env: z.array(EnvVar).optional(),
  envFrom: z.array(envFrom).optional(),
  ports: z
    .array(
      z.strictObject({
        name: z.string().optional(),
        containerPort: portNumber,
        hostPort: portOrNone,
        protocol: protocol.optional(),
      }),
    )
    .optional(),
  resources: z
    .strictObject({ limits: resourceList.optional(), requests: resourceList.optional() })
    .optional(),
  livenessProbe: Probe.optional(),
  readinessProbe: Probe.optional(),
  startupProbe: Probe.optional(),
  volumeMounts: z
    .array(
      z.strictObject({
        name: z.string(),
        mountPath: z.string(),
        readOnly: z.boolean().optional(),
        subPath: z.string().optional(),
      }),
    )
    .optional(),
  securityContext: securityContext.optional(),
  stdin: z.boolean().optional(),
  tty: z.boolean().optional(),
  // Where a container leaves a last word: shown by nothing here.
  terminationMessagePath: z.string().optional(),
  terminationMessagePolicy: z.string().optional(),
})

/** Which keys of a ConfigMap or Secret are which files. */
const files = {
  items: z
    .array(z.strictObject({ key: z.string(), path: z.string(), mode: count.optional() }))
    .optional(),
  defaultMode: count.optional(),
  optional: z.boolean().optional(),
}

/** `volumes[]`: one source each. */
export const Volume = z.strictObject({
  name: z.string(),
  configMap: z.strictObject({ name: z.string(), ...files }).optional(),
  secret: z.strictObject({ secretName: z.string(), ...files }).optional(),
  emptyDir: z
    .strictObject({ medium: z.enum(['', 'Memory']).optional(), sizeLimit: quantity.optional() })
    .nullable()
    .optional(),
  persistentVolumeClaim: z
    .strictObject({ claimName: z.string(), readOnly: z.boolean().optional() })
    .optional(),
  hostPath: z.strictObject({ path: z.string(), type: z.string().optional() }).optional(),
})

const account = z
  .string()
  .refine(
    (name) => name === 'default' || name === '',
    'must be "default": a task has no account, since there is no API of Kubernetes to use it with',
  )
  .optional()

/** `template.spec`. */
export const PodSpec = z.strictObject({
  containers: z.array(Container).min(1),
  volumes: z.array(Volume).optional(),
  restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
  terminationGracePeriodSeconds: count.optional(),
  nodeSelector: labels.optional(),
  nodeName: z.string().optional(),
  hostname: z.string().optional(),
  hostNetwork: z.boolean().optional(),
  hostPID: z.boolean().optional(),
  hostIPC: z.boolean().optional(),
  hostAliases: z.array(z.strictObject({ ip: z.string(), hostnames: strings })).optional(),
  dnsPolicy: z.enum(['ClusterFirst', 'ClusterFirstWithHostNet', 'Default']).optional(),
  dnsConfig: z
    .strictObject({
      nameservers: strings.optional(),
      searches: strings.optional(),
      options: z
        .array(z.strictObject({ name: z.string(), value: z.string().optional() }))
        .optional(),
    })
    .optional(),
  imagePullSecrets: z.array(z.strictObject({ name: z.string() })).optional(),
  securityContext: z
    .strictObject({
      runAsUser: count.optional(),
      runAsGroup: count.optional(),
      runAsNonRoot: z.boolean().optional(),
      fsGroup: count.optional(),
      // A volume that holds something is left as it is (`convert/volumes.ts`).
      fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']).optional(),
      supplementalGroups: z.array(count).optional(),
      sysctls: z.array(nameValue).optional(),
      seccompProfile,
    })
    .optional(),
  topologySpreadConstraints: z
    .array(
      z.strictObject({
        topologyKey: z.string(),
        maxSkew: count.optional(),
        whenUnsatisfiable: z.enum(['ScheduleAnyway']),
        labelSelector: z.unknown().optional(),
      }),
    )
    .optional(),
  // Nodes of this cluster have no taints, so that every task tolerates all of them.
  tolerations: z.array(z.unknown()).optional(),
  serviceAccountName: account,
  serviceAccount: account,
  automountServiceAccountToken: z.boolean().optional(),
  enableServiceLinks: z.boolean().optional(),
  schedulerName: z.literal('default-scheduler').optional(),
})

export const PodTemplate = z.strictObject({ metadata: Metadata.optional(), spec: PodSpec })

export type EnvVar = z.infer<typeof EnvVar>
export type Probe = z.infer<typeof Probe>
export type Container = z.infer<typeof Container>
export type Volume = z.infer<typeof Volume>
export type PodSpec = z.infer<typeof PodSpec>
export type PodTemplate = z.infer<typeof PodTemplate>
