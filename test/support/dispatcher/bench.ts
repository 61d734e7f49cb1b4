import type {
  AgentMessage,
  DispatcherMessage,
  SessionRequest,
} from '../../../src/api/assignment.ts'
import type { Network } from '../../../src/api/network.ts'
import type { Task } from '../../../src/api/task.ts'
import { Dispatcher } from '../../../src/manager/dispatcher/dispatcher.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { sampleCluster, sampleNetwork, sampleNode, sampleTask } from '../objects.ts'
import { settle, VirtualClock } from '../orchestration/virtual-clock.ts'
import { CollectedLog, MemoryStream } from '../worker/memory-stream.ts'

export const overlay = (id: string, index: number): Network =>
  sampleNetwork(id, id, {
    IPAMOptions: { Configs: [{ Subnet: `10.${index}.0.0/16` }] },
    Swarmctl: { Index: index, Plan: 'blocks', Gateways: {} },
  })

export const taskOn = (
  id: string,
  nodeId: string,
  change: Partial<Task> = {},
  address?: string,
): Task =>
  sampleTask(id, 'web', {
    NodeID: nodeId,
    Status: { Timestamp: '', State: 'assigned', Message: '' },
    ...(address === undefined
      ? {}
      : { NetworksAttachments: [{ Network: overlay('net1', 1), Addresses: [address] }] }),
    ...change,
  })

/** An agent's side of one session. */
export class FakeAgent {
  readonly received: DispatcherMessage[] = []
  ended: Promise<string> = Promise.resolve('')
  readonly #stream: MemoryStream
  constructor(stream: MemoryStream) {
    this.#stream = stream
    this.ended = this.#read()
  }
  say(message: AgentMessage): Promise<void> {
    return this.#stream.send(message)
  }
  cut(): void {
    this.#stream.abort(new Error('cut'))
  }
  /** Messages of a kind so far. */
  all<K extends DispatcherMessage['kind']>(kind: K): Extract<DispatcherMessage, { kind: K }>[] {
    return this.received.filter((m) => m.kind === kind) as never
  }
  last<K extends DispatcherMessage['kind']>(kind: K): Extract<DispatcherMessage, { kind: K }> {
    return this.all(kind).at(-1)!
  }
  async #read(): Promise<string> {
    try {
      for await (const message of this.#stream.messages())
        this.received.push(message as DispatcherMessage)
      return 'ended'
    } catch (error) {
      return (error as Error).message
    }
  }
}

/** A dispatcher over a store in memory, with virtual time. */
export class Bench {
  readonly clock = new VirtualClock()
  readonly log = new CollectedLog()
  readonly state = new StoreState()
  readonly proposer = new MemoryProposer(this.state)
  readonly store = new Store({ state: this.state, proposer: this.proposer, clock: this.clock })
  /** What agents serve on their connections, by method. */
  agentStreams: ((method: string, body: unknown) => MemoryStream) | undefined
  leader = { nodeId: 'm1', addr: '192.168.0.1:2377' }
  #ids = 0
  readonly dispatcher = new Dispatcher({
    store: this.store,
    clock: this.clock,
    log: this.log,
    newId: () => `id${++this.#ids}`,
    leader: () => this.leader,
  })

  connect(
    nodeId: string,
    change: Partial<SessionRequest> = {},
    peer: { nodeId: string; role?: 'worker' | 'manager' } = { nodeId },
  ): FakeAgent {
    const [managerSide, agentSide] = MemoryStream.pair()
    const index = Number(nodeId.slice(1))
    const agent = new FakeAgent(agentSide)
    this.dispatcher
      .serveSession(
        {
          nodeId,
          description: sampleNode(nodeId, index).Description,
          addr: `192.168.0.${index}:2377`,
          ...change,
        },
        managerSide,
        {
          peer,
          connection: { openStream: (method, body) => this.agentStreams!(method, body) },
          remoteAddress: `192.168.0.${index}`,
        },
      )
      .catch((error: Error) => managerSide.abort(error))
    return agent
  }

  /** Lets what is due now happen. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await settle()
    await this.clock.advance(6)
    for (let i = 0; i < 5; i++) await settle()
  }
}

/** A bench with a cluster and one node, whose agent has not come yet. */
export const startBench = async (): Promise<Bench> => {
  const b = new Bench()
  await b.store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('node', sampleNode('n1', 1, { Status: { State: 'unknown', Addr: '' } }))
  })
  b.dispatcher.start()
  return b
}
