import type { Config } from './config.ts'
import type { Network } from './network.ts'
import type { Node } from './node.ts'
import type { Secret } from './secret.ts'
import type { Service } from './service.ts'
import type { Cluster } from './swarm.ts'
import type { Task } from './task.ts'

/** The stored kinds, by name. */
export interface ObjectByKind {
  cluster: Cluster
  node: Node
  service: Service
  task: Task
  network: Network
  secret: Secret
  config: Config
}

export type Kind = keyof ObjectByKind

export const KINDS = [
  'cluster',
  'node',
  'service',
  'task',
  'network',
  'secret',
  'config',
] as const satisfies readonly Kind[]

/** A change of one object as watchers see it; `old` is absent for a creation, `object` for a removal. */
export type ObjectChange = {
  [K in Kind]:
    | { kind: K; action: 'create'; object: ObjectByKind[K]; old?: undefined }
    | { kind: K; action: 'update'; object: ObjectByKind[K]; old: ObjectByKind[K] }
    | { kind: K; action: 'remove'; object?: undefined; old: ObjectByKind[K] }
}[Kind]
