/** What the autoscaler asks of agents: the counters of some tasks, over the connections that there are. */
import t from 'tap'
import type { NodeUsage } from '../../../src/api/usage.ts'
import { AgentCalls } from '../../../src/manager/dispatcher/agent-calls.ts'
import type { AgentConnection } from '../../../src/manager/dispatcher/ports.ts'
import { UsageCalls } from '../../../src/worker/docker/usage-calls.ts'
import { World } from '../../support/orchestration/world.ts'
import { MemoryStream } from '../../support/worker/memory-stream.ts'

const HOST = { stat: 'cpu 1 0 0 0\ncpu0 1 0 0 0\n', memory: '', load: '0 0 0' }

/** An agent on which these tasks run, and which of their containers its Engine was asked for. */
const agentOf = (nodeId: string, tasks: readonly string[], isSilent = false) => {
  const read: string[] = []
  const usage = new UsageCalls({
    engine: {
      request: async ({ path }) => {
        read.push(path)
        return { cpu_stats: { cpu_usage: { total_usage: 7 } } }
      },
    },
    nodeId,
    containers: () => tasks.map((taskId) => ({ taskId, id: `c-${taskId}` })),
    readHost: async () => HOST,
    uptimeMs: () => 1000,
  })
  const connection: AgentConnection = {
    openStream: (method, body) => {
      if (method !== 'agent.usage') throw new Error(method)
      const [near, far] = MemoryStream.pair()
      if (!isSilent) void usage.serve(body, far).then(() => far.end())
      return near
    },
  }
  return { read, connection }
}

t.test(
  'only the tasks that are asked about are read; who is away or silent is left out',
  async (t) => {
    const agents = new Map([
      ['n1', agentOf('n1', ['a', 'b', 'c'])],
      ['n2', agentOf('n2', ['d'])],
      ['n3', agentOf('n3', ['e'], true)],
    ])
    const { store } = new World()
    const calls = new AgentCalls({
      store,
      connections: () => [...agents].map(([id, { connection }]) => [id, connection] as const),
      connectionOf: (id) => agents.get(id)?.connection,
    })
    const reports: NodeUsage[] = []
    const limit = new AbortController()
    const asked = new Map([
      ['n1', ['a', 'c', 'gone']],
      ['n3', ['e']],
      ['n4', ['f']],
    ])
    const over = calls.taskUsage(asked, (usage) => reports.push(usage), limit.signal)
    while (reports.length === 0) await new Promise((resolve) => setImmediate(resolve))
    t.match(reports, [{ NodeID: 'n1', AtMs: 1000, Error: '' }], 'n1 waits for nobody')
    limit.abort()
    await over
    t.strictSame(
      reports.map(({ NodeID, Tasks }) => [NodeID, Tasks.map(({ TaskID }) => TaskID)]),
      [['n1', ['a', 'c']]],
    )
    t.match(reports[0]?.Tasks, [{ CPUTotal: 7 }, { CPUTotal: 7 }])
    t.strictSame(agents.get('n1')?.read, ['/containers/c-a/stats', '/containers/c-c/stats'])
    t.strictSame(agents.get('n2')?.read, [], 'n2 is not asked')
    const late = new AbortController()
    setTimeout(() => late.abort(), 50)
    const all = await calls.usage(late.signal)
    t.strictSame(
      all.Nodes.map(({ Tasks }) => Tasks.length),
      [3, 1, 0],
      'top still asks about all',
    )
  },
)

t.test('a node tells of its own tasks, in numbers', async (t) => {
  const task = { TaskID: 'a', CPUTotal: 1, Memory: 2 }
  const good = { NodeID: 'n1', AtMs: 1, CPUs: 1, CPUTotal: 1, Memory: 1, MemoryTotal: 1 }
  const whole = { ...good, Load: [0, 0, 0], Tasks: [task], Error: '' }
  const told = async (answer: object): Promise<NodeUsage | undefined> => {
    const connection: AgentConnection = {
      openStream: () => {
        const [near, far] = MemoryStream.pair()
        void far.send(answer).then(() => far.end())
        return near
      },
    }
    const { store } = new World()
    const calls = new AgentCalls({
      ...{ store, connections: () => [['n1', connection]] },
      connectionOf: () => connection,
    })
    const reports: NodeUsage[] = []
    const { signal } = new AbortController()
    await calls.taskUsage(new Map([['n1', ['a']]]), (usage) => reports.push(usage), signal)
    const { Nodes } = await calls.usage(signal)
    t.equal(Nodes[0]?.NodeID, 'n1')
    t.equal(Nodes[0]?.Error === '', reports.length > 0)
    return reports[0]
  }
  t.strictSame(await told(whole), whole)
  const others = { ...whole, NodeID: 'n2', Tasks: [task, { ...task, TaskID: 'of-n2' }] }
  t.strictSame(await told(others), whole, "another node's name and task")
  for (const bad of [
    { ...whole, AtMs: Number.NaN },
    { ...whole, Tasks: [{ ...task, Memory: Number.POSITIVE_INFINITY }] },
    { ...whole, Tasks: [{ ...task, CPUTotal: '1' }] },
    { ...whole, Tasks: [{ ...task, Memory: -1 }] },
    { ...whole, Tasks: 1 },
  ]) {
    t.equal(await told(bad), undefined)
  }
})
