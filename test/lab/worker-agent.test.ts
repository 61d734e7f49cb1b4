/** A node's agent on a real Engine: many tasks at once, a lost Engine, a restart of the daemon, leaving. */
import t from 'tap'
import type { SessionRequest } from '../../src/api/assignment.ts'
import type { TaskState } from '../../src/api/task-state.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { Agent } from '../../src/worker/agent.ts'
import { MemoryDisk } from '../../src/worker/agent-disk.ts'
import { DockerExecutor } from '../../src/worker/docker/docker-executor.ts'
import { EngineClient } from '../../src/worker/docker/engine-client.ts'
import { MemoryFiles } from '../../src/worker/memory-files.ts'
import { eventually } from '../support/lab/eventually.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { TEST_IMAGE } from '../support/lab/test-image.ts'
import { sampleNode } from '../support/objects.ts'
import {
  agentTask,
  FakeManager,
  noAttachments,
  RecordedOverlay,
} from '../support/worker/agent-bench.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

labTest(
  t,
  'the agent on an Engine',
  { hosts: 1, engineArgs: ['--live-restore'] },
  async (t, lab) => {
    const host = lab.host(1)
    const facts = sampleNode('n1', 1).Description
    const manager = new FakeManager()
    const disk = new MemoryDisk()
    const begin = async (): Promise<Agent> => {
      const engine = new EngineClient({ dockerHost: `unix://${host.dockerSocket}` })
      const agent = new Agent(
        {
          executor: new DockerExecutor({ engine, log: new CollectedLog() }),
          overlay: new RecordedOverlay(),
          attachments: noAttachments({ clock: systemClock, log: new CollectedLog() }),
          files: new MemoryFiles(),
          disk,
          clock: systemClock,
          log: new CollectedLog(),
          random: () => 0.5,
          connect: async () => ({
            openStream: (_method, body) => manager.open(body as SessionRequest),
            close: () => {},
          }),
          localFacts: () => facts.Swarmctl,
          onCluster: () => {},
          onTrustRoot: () => {},
          onRenewCertificate: () => {},
          onRefused: () => {},
          onRemoved: () => {},
        },
        {
          nodeId: 'n1',
          addr: 'x:2377',
          known: { managers: [{ nodeId: 'm', addr: 'm:2377' }], asOf: 0 },
          fallbackFacts: facts,
        },
      )
      await agent.start()
      await eventually(() => agent.isConnected, { what: 'it registers' })
      return agent
    }
    const Image = `${TEST_IMAGE}:1`
    const task = (id: string, desired: TaskState = 'running', image = Image) =>
      agentTask(id, {
        DesiredState: desired,
        Spec: { ContainerSpec: { Image: image, Init: true, StopGracePeriod: 3e9 } },
      })
    const ids = Array.from({ length: 10 }, (_, i) => `t${i}`)
    const all = async (state: TaskState, of = ids) =>
      eventually(() => of.every((id) => manager.status(id)?.State === state), {
        what: `all ${state}`,
        intervalMs: 20,
      })
    let agent = await begin()

    await t.test('ten tasks run; what ends is told; what has to go stops', async (t) => {
      t.equal(manager.session.request.description.Hostname, 'h1')
      manager.assign(true, { tasks: ids.map((id) => task(id)) })
      await all('running')
      t.ok(manager.history('t3').length <= 3, 'few reports on the way')
      manager.assign(false, { tasks: [task('none', 'running', 'nowhere.invalid/none:1')] })
      await all('rejected', ['none'])
      t.match(manager.status('none')?.Err, /^No such image: nowhere\.invalid\/none:1: .+/)
      await host.docker(['kill', `web.1.t9`])
      await all('failed', ['t9'])
      t.equal(manager.status('t9')?.Err, 'task: non-zero exit (137)')
      await host.docker(['rm', '-f', `web.1.t8`])
      await all('failed', ['t8'])
      manager.assign(false, { tasks: [task('t7', 'shutdown')] })
      await all('shutdown', ['t7'])
      manager.assign(false, { removeTasks: ['t9', 't8', 't7', 'none'] })
      await eventually(
        async () => (await host.docker(['ps', '-aq'])).stdout.trim().split('\n').length === 7,
        { what: 'their containers go' },
      )
    })

    await t.test(
      'the Engine is killed and comes back: what still runs is kept, what died failed',
      async (t) => {
        const pid = manager.status('t0')?.ContainerStatus?.PID ?? 0
        await host.killEngine()
        await eventually(() => agent.description.Swarmctl.EngineError !== '', {
          what: 'it is noticed',
        })
        manager.assign(false, { tasks: [task('late')] })
        await host.exec('kill', ['-9', String(pid)])
        await host.startEngine()
        await all('running', ['late'])
        t.equal(agent.description.Swarmctl.EngineError, '')
        await all('failed', ['t0'])
        t.strictSame(
          ids.slice(1, 7).map((id) => manager.status(id)?.State),
          Array(6).fill('running'),
        )
      },
    )

    await t.test('the daemon restarts, adopts, and leaves nothing when it leaves', async (t) => {
      manager.assign(false, { tasks: [task('adopted')] })
      await all('running', ['adopted'])
      const container = manager.status('adopted')?.ContainerStatus?.ContainerID
      await agent.stop()
      agent = await begin()
      manager.assign(true, { tasks: [task('adopted'), task('new')] })
      await all('running', ['new'])
      t.equal(
        (await host.docker(['ps', '-q', '--no-trunc', '--filter', 'name=adopted'])).stdout.trim(),
        container,
      )
      await eventually(
        async () => (await host.docker(['ps', '-aq'])).stdout.trim().split('\n').length === 2,
        { what: 'what is not assigned goes' },
      )
      await agent.removeAll()
      t.equal((await host.docker(['ps', '-aq'])).stdout.trim(), '')
      t.equal(disk.tasks.size, 0)
    })
  },
)
