import t from 'tap'
import { ATTACHMENT_OPTION, withRecord } from '../../src/api/attachment-record.ts'
import { SwarmctlError } from '../../src/api/errors.ts'
import { containerEvent } from '../../src/worker/docker/container-events.ts'
import {
  attachedContainer,
  DockerContainerNetworks,
} from '../../src/worker/docker/docker-container-networks.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

const record = { networkId: 'n1', networkName: 'back', aliases: ['me'], isFixed: true }

t.test('a container as the Engine describes it', async (t) => {
  const json = (Status: string, address: object) => ({
    ...{ Id: 'c1', Name: '/alone', State: { Status, Pid: 77 } },
    NetworkSettings: {
      Networks: {
        'swarmctl-1': { ...address, DriverOpts: { [ATTACHMENT_OPTION]: JSON.stringify(record) } },
        'swarmctl-2': { DriverOpts: { [ATTACHMENT_OPTION]: '{"networkId":7}' } },
        'swarmctl-3': { DriverOpts: { [ATTACHMENT_OPTION]: 'no JSON' } },
        bridge: { IPAddress: '172.17.0.3', DriverOpts: null },
        none: { IPAddress: '' },
      },
    },
  })
  const wanted = { IPAMConfig: { IPv4Address: '10.0.1.7' }, IPAddress: '' }
  t.strictSame(attachedContainer(json('exited', wanted)), {
    ...{ id: 'c1', name: 'alone', phase: 'ended', pid: 77 },
    endpoints: [{ dockerNetwork: 'swarmctl-1', address: '10.0.1.7', record }],
  })
  const phases = ['created', 'running', 'paused', 'restarting', 'removing', 'dead', 'exited']
  t.strictSame(
    phases.map((status) => attachedContainer(json(status, wanted)).phase),
    ['created', 'up', 'up', 'up', 'ended', 'ended', 'ended'],
  )
  const given = attachedContainer(json('running', { IPAMConfig: null, IPAddress: '10.0.1.8' }))
  t.equal(given.endpoints[0]?.address, '10.0.1.8')
  const bare = { ...json('running', {}), NetworkSettings: { Networks: null } }
  t.match(attachedContainer(bare), { endpoints: [] })
})

t.test('what the Engine’s events say', async (t) => {
  const event = (Type: string, Action: string, Attributes: Record<string, string> = {}) =>
    containerEvent({ Type, Action, Actor: { ID: 'c1', Attributes } }, 'n1')
  const changed = { kind: 'changed', containerId: 'c1' }
  for (const action of ['start', 'die', 'destroy', 'rename'])
    t.strictSame(event('container', action), changed)
  t.equal(event('container', 'exec_die'), undefined)
  t.equal(event('container', 'health_status: healthy'), undefined, 'of no task')
  t.strictSame(event('network', 'disconnect', { container: 'c2' }), {
    ...{ kind: 'disconnected', containerId: 'c2' },
  })
  t.equal(event('network', 'disconnect'), undefined)
  t.equal(event('network', 'connect', { container: 'c2' }), undefined)
  const task = (node: string) => ({
    ...{ 'com.docker.swarm.task.id': 't1', 'com.docker.swarm.node.id': node, exitCode: '3' },
  })
  t.strictSame(event('container', 'die', task('n1')), {
    ...{ kind: 'died', taskId: 't1', containerId: 'c1', exitCode: 3 },
  })
  t.equal(event('container', 'die', task('n2')), undefined, 'of another node on this Engine')
  t.match(event('container', 'start', task('n1')), { kind: 'started', taskId: 't1' })
})

t.test('on a node-local network addresses and names are the Engine’s', async (t) => {
  const bodies: object[] = []
  const engine = { request: async ({ body }: { body: object }) => void bodies.push(body) }
  const networks = new DockerContainerNetworks({ engine: engine as never, log: new CollectedLog() })
  await networks.connect('c1', { dockerNetwork: 'swarmctl-local-m1', address: '', record })
  await networks.connect('c1', { dockerNetwork: 'swarmctl-1', address: '10.0.1.7', record })
  const DriverOpts = { [ATTACHMENT_OPTION]: JSON.stringify(record) }
  t.strictSame(bodies, [
    { Container: 'c1', EndpointConfig: { Aliases: ['me'], DriverOpts } },
    { Container: 'c1', EndpointConfig: { IPAMConfig: { IPv4Address: '10.0.1.7' }, DriverOpts } },
  ])
})

t.test(
  'one that the Engine can’t inspect is left as it is, and keeps no other from being found',
  async (t) => {
    const log = new CollectedLog()
    const Networks = { 'swarmctl-1': { IPAddress: '10.0.1.7', DriverOpts: withRecord({}, record) } }
    const answers: Record<string, unknown> = {
      '/containers/json': ['c1', 'c2'].map((Id) => ({ Id, NetworkSettings: { Networks } })),
      '/containers/c1/json': new SwarmctlError('INTERNAL', 'no such layer'),
      '/containers/c2/json': {
        ...{ Id: 'c2', Name: '/two', State: { Status: 'running', Pid: 7 } },
        NetworkSettings: { Networks },
      },
    }
    const engine = {
      request: async ({ path }: { path: string }) => {
        if (answers[path] instanceof Error) throw answers[path]
        return answers[path]
      },
    }
    const networks = new DockerContainerNetworks({ engine: engine as never, log })
    t.match(await networks.list(), [{ id: 'c2', endpoints: [{ address: '10.0.1.7' }] }])
    t.equal((await networks.list()).length, 1)
    t.match(log.lines, [/no such layer/], 'told once')
    t.equal(log.lines.length, 1)
  },
)
