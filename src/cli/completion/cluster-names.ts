import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import type { Client } from '../client.ts'
import type { Candidate, NameKind } from './word-at.ts'

/** Who waits for a completion does not wait longer. */
const LIMIT_MS = 1_000

const services = async (client: Client, signal: AbortSignal): Promise<Candidate[]> => {
  const found = await client.call<Service[]>({ path: '/services', signal })
  return found.map(({ Spec }) => ({
    value: Spec.Name,
    description: (Spec.TaskTemplate.ContainerSpec?.Image ?? '').replace(/@.*/, ''),
  }))
}

const tasks = async (client: Client, signal: AbortSignal): Promise<Candidate[]> => {
  const found = await client.call<Task[]>({ path: '/tasks', signal })
  return found
    .filter(({ DesiredState, Slot }) => isWanted(DesiredState) && Slot !== undefined)
    .map(({ Swarmctl, Slot, Status }) => ({
      value: `${Swarmctl.ServiceName}.${Slot}`,
      description: Status.State,
    }))
}

const nodes = async (client: Client, signal: AbortSignal): Promise<Candidate[]> => {
  const found = await client.call<Node[]>({ path: '/nodes', signal })
  return found.map(({ Description, Spec, Status }) => ({
    value: Description.Hostname,
    description: `${Spec.Role}, ${Status.State}`,
  }))
}

const networks = async (client: Client, signal: AbortSignal): Promise<Candidate[]> => {
  const found = await client.call<{ Name: string; Driver: string }[]>({ path: '/networks', signal })
  return found.map(({ Name, Driver }) => ({ value: Name, description: Driver }))
}

const data =
  (path: '/secrets' | '/configs') =>
  async (client: Client, signal: AbortSignal): Promise<Candidate[]> => {
    const found = await client.call<{ Spec: { Name: string } }[]>({ path, signal })
    return found.map(({ Spec }) => ({ value: Spec.Name, description: '' }))
  }

const stacks = async (client: Client, signal: AbortSignal): Promise<Candidate[]> => {
  const found = await client.call<Service[]>({ path: '/services', signal })
  const names = found.flatMap(({ Spec }) => Spec.Labels[NAMESPACE_LABEL] ?? [])
  return [...new Set(names)].map((value) => ({ value, description: '' }))
}

const BY_KIND: Record<NameKind, (client: Client, signal: AbortSignal) => Promise<Candidate[]>> = {
  service: services,
  task: tasks,
  node: nodes,
  network: networks,
  secret: data('/secrets'),
  config: data('/configs'),
  stack: stacks,
}

/** The names of these kinds that the cluster has. None when it does not answer at once: a completion shows no errors. */
export const clusterNames = async (
  client: Client,
  kinds: readonly NameKind[],
): Promise<Candidate[]> => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  const found = await Promise.all(
    kinds.map((kind) => BY_KIND[kind](client, signal).catch(() => [])),
  )
  return found.flat()
}
