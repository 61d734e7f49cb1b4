import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unavailable } from '../../../src/api/errors.ts'
import { newId } from '../../../src/api/id.ts'
import { ManagerRole } from '../../../src/daemon/manager-role.ts'
import type { NodeRecord } from '../../../src/daemon/node-file.ts'
import { NodeKeys } from '../../../src/daemon/node-keys.ts'
import { createCluster } from '../../../src/manager/ca/create-cluster.ts'
import { decodeMessage, encodeMessage, type WireMessage } from '../../../src/raft/wire.ts'
import type { CallContext, RequestOptions, RpcConnection } from '../../../src/rpc/connection.ts'
import { RpcHandlers } from '../../../src/rpc/handlers.ts'
import type { RpcPool } from '../../../src/rpc/pool.ts'
import { noLog, realClock } from '../rpc/cluster-fixture.ts'

const ADDR = '10.0.0.1:2377'

/** Answers requests by address, which the caller's signal may end; what is not in it is not reached. */
export const poolOf = (answers: Record<string, (signal?: AbortSignal) => unknown>): RpcPool =>
  ({
    current: () => undefined,
    get: async (addr: string) => ({
      request: async (_method: string, _body: unknown, options?: RequestOptions) => {
        const answer = answers[addr]
        if (!answer) throw unavailable(`no route to ${addr}`)
        return answer(options?.signal)
      },
    }),
  }) as unknown as RpcPool

/** Resolves when a manager's role leads. */
export const untilLeading = async (role: ManagerRole): Promise<void> => {
  while (!role.runtime?.isLeader) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** A raft message that comes from a node with a manager's certificate. Returns what goes back on the same connection. */
export const sendRaft = (handlers: RpcHandlers, message: WireMessage): WireMessage[] => {
  const answers: WireMessage[] = []
  const peer = { nodeId: message.from, role: 'manager', clusterId: '' } as const
  const connection = {
    isOpen: true,
    onClose: () => {},
    notify: (_method: string, bytes: Uint8Array) => answers.push(decodeMessage(bytes)),
  } as unknown as RpcConnection
  const context = { peer, connection } as CallContext
  handlers.find('notify', 'raft.message', peer).handler(encodeMessage(message), context)
  return answers
}

/** Makes a leader believe that another member is in a later term: it steps down. */
export const tellLaterTerm = (role: ManagerRole, handlers: RpcHandlers, from: string): void => {
  const { id = '', term = 0 } = role.runtime?.raftStatus() ?? {}
  sendRaft(handlers, { kind: 'heartbeat-response', from, to: id, term: term + 1, readRound: 0 })
}

/** A manager's part of a data directory: its keys, its record, and the role that runs on them. Nothing is started. */
export class ManagerOnDisk {
  readonly dataDir: string
  readonly keys: NodeKeys
  record: NodeRecord
  readonly fatal: Error[] = []
  /** The disk refuses the record so often. */
  refusedRecords = 0

  private constructor(dataDir: string, keys: NodeKeys, record: NodeRecord) {
    this.dataDir = dataDir
    this.keys = keys
    this.record = record
  }

  /** An empty directory, removed when the test ends. */
  static async create(
    t: { teardown(run: () => Promise<void>): void },
    record: Partial<NodeRecord> = {},
  ): Promise<ManagerOnDisk> {
    const dataDir = await mkdtemp(join(tmpdir(), 'manager-'))
    t.teardown(() => rm(dataDir, { recursive: true }))
    const addresses = { listenAddr: ADDR, advertiseAddr: ADDR, dataPathAddr: '10.0.0.1' }
    const whole = { nodeId: '', clusterId: '', managers: [], ...addresses, ...record }
    return new ManagerOnDisk(dataDir, await NodeKeys.create(dataDir), whole)
  }

  role(handlers = new RpcHandlers(), pool = poolOf({})): ManagerRole {
    return new ManagerRole(
      {
        ...{ handlers, clock: realClock, log: noLog, random: Math.random },
        ...{ pool, bulkPool: poolOf({}), keys: () => this.keys },
        record: () => this.record,
        setRecord: async (changed) => {
          if (this.refusedRecords-- > 0) throw unavailable('no space left on device')
          this.record = changed
        },
        onLeader: () => {},
        onFatal: (error) => void this.fatal.push(error),
      },
      { dataDir: this.dataDir },
    )
  }

  /** Makes it the first manager of a new cluster, which leads when this resolves. */
  async bootstrap(handlers = new RpcHandlers()): Promise<ManagerRole> {
    const { cluster, node } = await createCluster(
      { clock: realClock, newId },
      { spec: { Name: 'default', Labels: {} }, addr: ADDR },
    )
    const managers = [{ nodeId: node.ID, addr: ADDR }]
    this.record = { ...this.record, nodeId: node.ID, clusterId: cluster.ID, managers }
    const role = this.role(handlers)
    await role.start({ cluster, node })
    await untilLeading(role)
    return role
  }
}
