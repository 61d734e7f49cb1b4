import Docker from 'dockerode'
import t from 'tap'
import { type ApiNode, startNode } from '../support/http/api-node.ts'
import { sampleTask } from '../support/objects.ts'

// Other clients: every method that dockerode has for a swarm.

const text = async (stream: NodeJS.ReadableStream): Promise<string> => {
  let all = ''
  for await (const chunk of stream) all += chunk
  return all
}

/** Its published types lack half of what it has for a swarm. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
const connect = (api: ApiNode): any => new Docker({ socketPath: api.socketPath })

const versionOf = (object: { Version?: { Index?: number } }): number =>
  Number(object.Version?.Index)

t.test('dockerode: the swarm and its nodes', async (t) => {
  const api = await startNode(t, { seed: false })
  const docker = connect(api)
  const nodeId = await docker.swarmInit({
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: '192.168.0.1',
  })
  t.match(String(nodeId), /^node1/)
  t.match(await docker.info(), { Swarm: { LocalNodeState: 'active', ControlAvailable: true } })
  const swarm = await docker.swarmInspect()
  const worker = swarm.JoinTokens.Worker
  const settings = { ...swarm.Spec, version: versionOf(swarm), rotateWorkerToken: true }
  await docker.swarmUpdate(settings)
  t.not((await docker.swarmInspect()).JoinTokens.Worker, worker)
  const [first] = await docker.listNodes({ filters: { role: ['manager'] } })
  const node = docker.getNode(String(first?.ID))
  const shown = await node.inspect()
  const Spec = { ...shown.Spec, Labels: { zone: 'a' } }
  await node.update({ ...Spec, version: versionOf(shown) })
  t.strictSame((await node.inspect()).Spec.Labels, { zone: 'a' })
  await t.rejects(node.remove({ force: true }), {
    statusCode: 400,
    message: /is a cluster manager/,
  })
  await docker.swarmLeave({ force: true })
  await docker.swarmJoin({ JoinToken: 'SWMTKN-1-a-b', RemoteAddrs: ['192.168.0.9:2377'] })
  t.match(api.swarm.calls.at(-1), ['join', { RemoteAddrs: ['192.168.0.9:2377'] }])
})

t.test('dockerode: secrets, configs, networks, services and tasks', async (t) => {
  const api = await startNode(t)
  const docker = connect(api)
  const Data = Buffer.from('hidden').toString('base64')
  for (const kind of ['Secret', 'Config'] as const) {
    const created = await docker[`create${kind}`]({ Name: 'one', Labels: {}, Data })
    const file = docker[`get${kind}`](created.id)
    const shown = await file.inspect()
    await file.update({ ...shown.Spec, Labels: { a: '1' }, version: versionOf(shown) })
    const listed: { Spec?: object }[] = await docker[`list${kind}s`]({ filters: { name: ['one'] } })
    t.match(listed, [{ Spec: { Labels: { a: '1' } } }])
    await file.remove()
    await t.rejects(file.inspect(), { statusCode: 404, message: /not found/ })
  }

  const network = await docker.createNetwork({ Name: 'net', Driver: 'overlay', Attachable: true })
  t.match(await network.inspect(), { Scope: 'swarm', Attachable: true })
  t.equal((await docker.listNetworks({ filters: { scope: ['swarm'] } })).length, 2)

  const spec = {
    Name: 'web',
    TaskTemplate: { ContainerSpec: { Image: 'nginx' }, Networks: [{ Target: 'net' }] },
    Mode: { Replicated: { Replicas: 2 } },
  }
  const auth = { username: 'u', password: 'p', serveraddress: 'r' }
  const service = docker.getService((await docker.createService(auth, spec)).id)
  const stored = api.swarm.store.view().get('service', service.id)
  const carried = stored?.Spec.TaskTemplate.PullOptions?.RegistryAuth ?? ''
  t.strictSame(JSON.parse(Buffer.from(carried, 'base64').toString()), auth)
  const shown = await service.inspect()
  await service.update({ ...shown.Spec, Labels: { l: '1' }, version: versionOf(shown) })
  t.match(await docker.listServices({ filters: { label: ['l=1'] } }), [{ ID: service.id }])

  const id = 't1'.padEnd(25, '0')
  const GenericResources = [{ NamedResourceSpec: { Kind: 'GPU', Value: 'a' } }]
  await api.swarm.store.update((tx) => {
    const status = { Timestamp: '', State: 'running' as const, Message: '' }
    const ContainerStatus = { ContainerID: 'c', PID: 1, ExitCode: 0 }
    const Status = { ...status, ContainerStatus }
    const task = sampleTask(id, service.id, { Status, GenericResources })
    tx.put('task', { ...task, NodeID: 'node1'.padEnd(25, '0') })
  })
  const line = { stream: 'stdout' as const, data: Buffer.from('said\n'), timestamp: '' }
  api.swarm.logs.set(id, [line])
  t.match(await docker.listTasks({ filters: { service: ['web'] } }), [{ ID: id }])
  t.match(await docker.getTask(id).inspect(), { ID: id, ServiceID: service.id, GenericResources })
  const options = { stdout: true, stderr: true, follow: false as const }
  const said = async (answer: Buffer | NodeJS.ReadableStream) =>
    Buffer.isBuffer(answer) ? answer.toString() : text(answer)
  t.match(await said(await service.logs(options)), 'said')
  t.match(await said(await docker.getTask(id).logs(options)), 'said')
  await service.remove()
  await t.rejects(service.inspect(), { statusCode: 404, message: /service .* not found/ })
})
