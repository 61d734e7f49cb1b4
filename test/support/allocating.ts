import type { Clock } from '../../src/api/clock.ts'
import type { Log } from '../../src/api/log.ts'
import type { Service } from '../../src/api/service.ts'
import type { PortConfig } from '../../src/api/service-spec.ts'
import type { Task } from '../../src/api/task.ts'
import { Allocator } from '../../src/manager/allocator/allocator.ts'
import { allocateTaskAddresses } from '../../src/manager/allocator/task-addresses.ts'
import { MemoryProposer } from '../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../src/manager/store/state.ts'
import { Store } from '../../src/manager/store/store.ts'
import { sampleNetwork, sampleService, sampleTask } from './objects.ts'

const clock: Clock = { nowMs: () => 1_700_000_000_000, schedule: () => () => {} }
const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }

export const newAllocator = () => {
  const state = new StoreState()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  let count = 0
  const allocator = new Allocator({ store, clock, log, newId: () => `made-${++count}` })
  return { store, allocator }
}

/** Runs until the allocator has nothing left to write: every step is a microtask. */
export const settle = async (store: Store): Promise<void> => {
  for (let quiet = 0, index = -1; quiet < 50; quiet++) {
    if (store.view().index !== index) quiet = 0
    index = store.view().index
    await null
  }
}

export const network = (id: string, subnet?: string) => {
  const made = sampleNetwork(id, id)
  const Configs = subnet === undefined ? [] : [{ Subnet: subnet }]
  return { ...made, Spec: { ...made.Spec, IPAMOptions: { Configs } } }
}

export const service = (id: string, networks: string[], ports: PortConfig[] = []): Service => {
  const made = sampleService(id, id)
  const Networks = networks.map((Target) => ({ Target, Aliases: [`alias-${id}`] }))
  return {
    ...made,
    Spec: {
      ...made.Spec,
      TaskTemplate: { ...made.Spec.TaskTemplate, Networks },
      EndpointSpec: { Mode: 'vip', Ports: ports },
    },
  }
}

export const taskOf = (id: string, owner: Service, change: Partial<Task> = {}): Task => {
  const task = sampleTask(id, owner.ID)
  return {
    ...task,
    Spec: owner.Spec.TaskTemplate,
    Swarmctl: { ...task.Swarmctl, Endpoint: owner.Spec.EndpointSpec ?? {} },
    ...change,
  }
}

export const dynamic = (TargetPort: number): PortConfig => ({
  Protocol: 'tcp',
  TargetPort,
  PublishMode: 'ingress',
})

export const assign = (store: Store, taskId: string, nodeId: string) =>
  store.update((tx) => {
    const Status = { Timestamp: '', State: 'assigned', Message: '' } as const
    const task = { ...tx.get('task', taskId)!, NodeID: nodeId, Status }
    tx.put('task', allocateTaskAddresses(tx, task, nodeId))
  })

export const end = (store: Store, taskId: string) =>
  store.update((tx) => {
    const Status = { Timestamp: '', State: 'shutdown', Message: '' } as const
    tx.put('task', { ...tx.get('task', taskId)!, Status })
  })
