/** The unmodified docker CLI of the Debian package that `npm run setup -- --lab` installs, against the API socket. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Service } from '../../src/api/service.ts'
import { ApiNode } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleTask } from '../support/objects.ts'

/** Another version can be tried with it. */
const DOCKER = process.env.DOCKER_CLI ?? '/usr/bin/docker'
const LIMIT_MS = 30_000

interface Ran {
  code: number
  out: string
  err: string
}

type Teardown = { teardown(end: () => Promise<void>): void; testdir(): string }

const start = async (t: Teardown, options?: Parameters<typeof ApiNode.start>[0]) => {
  const node = await ApiNode.start(options)
  t.teardown(() => node.stop())
  const home = t.testdir()
  const docker = (line: string | string[], stdin = ''): Promise<Ran> =>
    new Promise((resolve) => {
      const args = ['-H', node.host, ...(typeof line === 'string' ? line.split(' ') : line)]
      const options = { timeout: LIMIT_MS, env: { PATH: process.env.PATH, HOME: home } }
      const child = execFile(DOCKER, args, options, (error, out, err) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
      )
      child.stdin?.on('error', () => {})
      child.stdin?.end(stdin)
    })
  return { node, docker, home }
}

/** Tasks for a service as soon as it is written, as if nodes were very quick. */
const runTasks = (node: ApiNode): void => {
  const run = async (service: Service) => {
    await node.swarm.store.update((tx) => {
      const { Spec, Swarmctl } = tx.get('service', service.ID)!
      for (const old of tx.tasksByService(service.ID)) tx.remove('task', old.ID)
      for (let Slot = 1; Slot <= (Spec.Mode?.Replicated?.Replicas ?? 0); Slot++) {
        const base = sampleTask(`${service.ID.slice(-3)}t${Slot}`.padEnd(25, 'x'), service.ID)
        tx.put('task', {
          ...base,
          Slot,
          NodeID: NODE_ID,
          Spec: Spec.TaskTemplate,
          Status: {
            Timestamp: new Date().toISOString(),
            State: 'running',
            Message: 'started',
            ContainerStatus: { ContainerID: 'c', PID: 1, ExitCode: 0 },
          },
          Swarmctl: {
            ...base.Swarmctl,
            SpecVersion: Swarmctl.SpecVersion,
            ServiceName: Spec.Name,
            ServiceLabels: Spec.Labels,
            Endpoint: Spec.EndpointSpec ?? {},
          },
        })
      }
    })
  }
  node.swarm.store.watch((changes) => {
    for (const change of changes) {
      if (change.kind === 'service' && change.action !== 'remove') void run(change.object)
    }
  })
}

t.test('nodes, info and the swarm', async (t) => {
  const { node, docker } = await start(t)
  t.match((await docker('node ls')).out, /\* +host-1 +Ready +Active +Leader +28.0.0\n/)
  const info = await docker('info')
  t.match(
    info.out,
    /Swarm: active\n +NodeID: node1[\s\S]*Is Manager: true[\s\S]*Managers: 1\n +Nodes: 2/,
  )
  t.equal((await docker('node update --availability drain --label-add a=b host-2')).code, 0)
  t.match((await docker('node inspect --pretty host-2')).out, /a=b[\s\S]*Availability:\s+Drain/)
  t.match((await docker('node promote host-2')).out, /promoted to a manager/)
  t.match((await docker('node demote host-2')).out, /demoted in the swarm/)
  t.match((await docker('node ps self')).code, 0)
  t.match((await docker('node rm host-2')).err, /is not down and can't be removed/)
  t.equal((await docker('node rm --force host-2')).code, 0)
  t.equal((await docker('swarm join-token -q worker')).out, 'SWMTKN-1-a-b\n')
  t.match((await docker('swarm join-token manager')).out, /--token SWMTKN-1-a-c 192.168.0.1:2377/)
  t.match((await docker('swarm join-token --rotate -q worker')).out, /^SWMTKN-1-new/)
  t.equal((await docker('swarm update --task-history-limit 2')).code, 0)
  t.equal(node.swarm.store.view().cluster()?.Spec.Orchestration?.TaskHistoryRetentionLimit, 2)
  t.equal((await docker('swarm leave --force')).code, 0)
  t.match((await docker('service ls')).err, /This node is not a swarm manager/)
  const init = await docker('swarm init --advertise-addr 10.0.0.1')
  t.match(init.out, /Swarm initialized: current node \(node1.*\) is now a manager/)
})

t.test('services', async (t) => {
  const { node, docker } = await start(t)
  runTasks(node)
  const flags =
    '--replicas 2 --publish 8080:80 --env A=1 --constraint node.role==manager --limit-cpu 0.5 ' +
    '--mount type=volume,source=d,target=/d --label a=b --update-parallelism 0 --cap-add NET_ADMIN ' +
    '--host db:10.0.0.5 --stop-grace-period 5s --health-cmd true --ulimit nofile=5:6 --init'
  const made = await docker(`service create -d --name web ${flags} nginx:1 -g x`)
  t.equal(made.code, 0, made.err)
  t.match(node.swarm.store.view().get('service', made.out.trim())?.Spec, {
    Name: 'web',
    Labels: { a: 'b' },
    Mode: { Replicated: { Replicas: 2 } },
    UpdateConfig: { Parallelism: 0 },
    TaskTemplate: {
      ContainerSpec: {
        Args: ['-g', 'x'],
        Env: ['A=1'],
        Init: true,
        Hosts: ['10.0.0.5 db'],
        StopGracePeriod: 5e9,
        Mounts: [{ Type: 'volume', Source: 'd', Target: '/d' }],
        CapabilityAdd: ['CAP_NET_ADMIN'],
        Healthcheck: { Test: ['CMD-SHELL', 'true'] },
        Ulimits: [{ Name: 'nofile', Soft: 5, Hard: 6 }],
      },
      Placement: { Constraints: ['node.role==manager'] },
      Resources: { Limits: { NanoCPUs: 5e8 } },
    },
    EndpointSpec: { Ports: [{ PublishedPort: 8080, TargetPort: 80, Protocol: 'tcp' }] },
  })
  t.match((await docker('service ls')).out, /web +replicated +2\/2 +nginx:1/)
  t.match((await docker('service ps web')).out, /web\.1 +nginx:1 +host-1 +Running +Running/)
  t.match(
    (await docker('service inspect --pretty web')).out,
    /Service Mode:\s+Replicated\n Replicas:\s+2/,
  )
  t.match(JSON.parse((await docker('service inspect web')).out), [{ Spec: { Name: 'web' } }])
  t.equal((await docker('service update -d --env-add B=2 --image app:2 web')).code, 0)
  const spec = node.swarm.store.view().byName('service', 'web')?.Spec.TaskTemplate.ContainerSpec
  // The docker CLI keeps them in a map: their order is chance.
  t.strictSame([...(spec?.Env ?? [])].sort(), ['A=1', 'B=2'])
  t.match(spec?.Image, /^app:2@sha256:a+$/)
  t.match((await docker('service scale -d web=3')).out, /web scaled to 3/)
  t.equal((await docker('service rollback -d web')).code, 0)
  const taken = await docker('service create -d --publish 8080:80 nginx')
  t.match(taken.err, /port '8080' is already in use by service 'web'/)
  t.match((await docker('service create -d --secret nope nginx')).err, /secret not found: nope/)
  node.swarm.logs.set(`${made.out.trim().slice(-3)}t1`.padEnd(25, 'x'), [
    { timestamp: '2026-01-02T03:04:05Z', stream: 'stdout', data: Buffer.from('hello\n') },
  ])
  t.match((await docker('service logs web')).out, /^web\.1\..*@host-1 +\| hello\n$/)
  t.equal((await docker('service rm web')).out, 'web\n')
  t.equal((await docker('service ls -q')).out, '')
})

t.test('it waits until a service has converged', async (t) => {
  const { node, docker } = await start(t)
  runTasks(node)
  const made = await docker('service create --name web --update-monitor 300ms --replicas 2 app')
  t.match(made, { code: 0, out: /verify: Service|Service \S+ converged/ })
  t.equal((await docker('service update --update-monitor 200ms --env-add A=1 web')).code, 0)
  t.equal((await docker('service scale web=1')).code, 0)
})

t.test('secrets, configs and networks', async (t) => {
  const { node, docker } = await start(t)
  for (const kind of ['secret', 'config'] as const) {
    const made = await docker(`${kind} create -l a=b one -`, 'hush')
    t.equal(made.code, 0, made.err)
    t.equal(node.swarm.store.view().get(kind, made.out.trim())?.Spec.Data, 'aHVzaA==')
    t.match((await docker(`${kind} ls`)).out, /one/)
    t.match(JSON.parse((await docker(`${kind} inspect one`)).out), [{ Spec: { Name: 'one' } }])
  }
  const network = await docker('network create -d overlay --subnet 10.9.0.0/24 back')
  t.match([network.code, network.out], [0, /^id\d+\n$/])
  t.match((await docker('network ls')).out, /back +overlay +swarm[\s\S]*bridge +bridge +local/)
  t.match(JSON.parse((await docker('network inspect back')).out), [{ Scope: 'swarm' }])
  const service = 'service create -d --name web --network back --secret one --config one nginx'
  const made = await docker(service)
  t.equal(made.code, 0, made.err)
  t.match(node.swarm.store.view().byName('service', 'web')?.Spec.TaskTemplate, {
    Networks: [{ Target: network.out.trim() }],
    ContainerSpec: { Secrets: [{ SecretName: 'one' }], Configs: [{ ConfigName: 'one' }] },
  })
  t.equal((await docker('service create -d --name h --network host nginx')).code, 0)
  t.match((await docker('secret rm one')).err, /is in use by the following service: web/)
  await docker('service rm web h')
  t.equal((await docker('secret rm one')).code, 0)
  t.equal((await docker('config rm one')).code, 0)
  t.equal((await docker('network rm back')).out, 'back\n')
  t.match((await docker('network rm back')).code, 1)
})

t.test('stacks', async (t) => {
  const { node, docker, home } = await start(t)
  runTasks(node)
  const file = join(home, 'stack.yml')
  const write = (image: string) =>
    writeFileSync(
      file,
      `version: "3.8"
services:
  web:
    image: ${image}
    ports: ["8080:80"]
    secrets: [key]
    deploy: { replicas: 2 }
  db:
    image: app:1
secrets:
  key: { file: ./key.txt }
`,
    )
  writeFileSync(join(home, 'key.txt'), 'hush')
  write('app:1')
  const deployed = await docker(['stack', 'deploy', '-c', file, 'demo'])
  t.equal(deployed.code, 0, deployed.err)
  t.match((await docker('stack ls')).out, /demo +2/)
  t.match((await docker('stack services demo')).out, /demo_web +replicated +2\/2/)
  t.match((await docker('stack ps demo')).out, /demo_web\.1[\s\S]*Running/)
  write('app:2')
  t.match((await docker(['stack', 'deploy', '-c', file, 'demo'])).out, /Updating service demo_web/)
  const image = node.swarm.store.view().byName('service', 'demo_web')?.Spec.TaskTemplate
  t.match(image?.ContainerSpec?.Image, /^app:2@sha256/)
  const removed = await docker('stack rm demo')
  t.equal(removed.code, 0, removed.err)
  t.match(removed.out + removed.err, /Removing network demo_default/)
  t.same(node.swarm.store.view().list('service'), [])
  t.same(node.swarm.store.view().list('secret'), [])
})

t.test('an Engine of an older version, and what is the Engine’s own', async (t) => {
  const { docker } = await start(t, { engineVersion: '1.41' })
  t.match((await docker('version')).out, /API version:\s+1\.41/)
  t.equal((await docker('service create -d --name web --sysctl net.a=1 nginx')).code, 0)
  t.match((await docker('ps')).out, /^CONTAINER ID/)
  t.match((await docker('inspect --type container nope')).err, /no such|No such/)
})
