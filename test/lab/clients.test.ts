import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import type { Node } from '../../src/api/node.ts'
import type { Service } from '../../src/api/service.ts'
import type { Task } from '../../src/api/task.ts'
import { untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Other clients: Debian's packages, unmodified, and the calls that Traefik and Portainer make.

type Test = typeof t

const CLIENTS = resolve(import.meta.dirname, '../support/clients')
const IMAGE = 'swarmctl-test:1'
const TIMEOUT_MS = 240_000
const PROMETHEUS_PORT = 9090

const python = async (t: Test, host: LabHost, env: Record<string, string>) => {
  const script = join(CLIENTS, 'docker_py.py')
  const said = await host.exec('/usr/bin/python3', [script], { env, timeoutMs: TIMEOUT_MS })
  t.match(said.stdout, 'every method answered')
}

const ansible = async (t: Test, host: LabHost, env: Record<string, string>) => {
  const home = join(host.dir, 'ansible')
  const settings = { ANSIBLE_NOCOWS: '1', ANSIBLE_LOCAL_TEMP: home, ANSIBLE_REMOTE_TEMP: home }
  const play = async (book: string) => {
    const options = { env: { ...env, ...settings, HOME: home }, timeoutMs: TIMEOUT_MS }
    const { stdout } = await host.exec('/usr/bin/ansible-playbook', [join(CLIENTS, book)], options)
    return { stdout, changed: Number(/changed=(\d+)/.exec(stdout)?.[1]) }
  }
  t.ok((await play('ansible.yml')).changed >= 5, 'the first run makes everything')
  const second = await play('ansible.yml')
  t.equal(second.changed, 0, second.stdout)
  await untilRunning(host, 'ansible', 2)
  t.ok((await play('ansible-absent.yml')).changed >= 4, 'and all can be taken away')
}

interface Targets {
  data: { activeTargets: { labels: { job: string }; discoveredLabels: Record<string, string> }[] }
}

const prometheus = async (t: Test, host: LabHost, dockerHost: string) => {
  const config = join(host.dir, 'prometheus.yml')
  const text = readFileSync(join(CLIENTS, 'prometheus.yml'), 'utf8')
  writeFileSync(config, text.replaceAll('DOCKER_HOST', dockerHost))
  const process = await host.spawn([
    'prometheus',
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(host.dir, 'prometheus')}`,
    `--web.listen-address=${host.ip}:${PROMETHEUS_PORT}`,
  ])
  const url = `http://${host.ip}:${PROMETHEUS_PORT}/api/v1/targets?state=active`
  const found = await eventually(
    async () => {
      const { activeTargets } = ((await (await fetch(url)).json()) as Targets).data
      const of = (job: string) => activeTargets.filter(({ labels }) => labels.job === job)
      // Two nodes; a service's address and port; a task's port on each network.
      const enough = of('nodes').length === 2 && of('services').length >= 1
      return enough && of('tasks').length >= 2 ? activeTargets : undefined
    },
    { what: 'every role finds its targets', timeoutMs: 60_000 },
  )
  const labels = (job: string) =>
    found.find((target) => target.labels.job === job)?.discoveredLabels ?? {}
  t.match(labels('nodes'), {
    __meta_dockerswarm_node_hostname: /^h\d$/,
    __meta_dockerswarm_node_status: 'ready',
    __meta_dockerswarm_node_role: /manager|worker/,
  })
  t.match(labels('services'), {
    __meta_dockerswarm_service_name: 'web',
    __meta_dockerswarm_service_mode: 'replicated',
    __meta_dockerswarm_network_name: /./,
  })
  t.match(labels('tasks'), {
    __meta_dockerswarm_service_name: 'web',
    __meta_dockerswarm_task_state: 'running',
    __meta_dockerswarm_task_container_id: /^[0-9a-f]{64}$/,
    __meta_dockerswarm_node_hostname: /^h\d$/,
  })
  await process.stop()
}

const asked = async <T>(host: LabHost, path: string): Promise<T> => {
  const answer = await host.apiRequest(path)
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
  return answer.json() as T
}

const filtered = (filters: object): string =>
  `filters=${encodeURIComponent(JSON.stringify(filters))}`

/** What Traefik's swarm provider asks and reads, every 15 s. */
const traefik = async (t: Test, host: LabHost) => {
  t.match(await asked(host, '/v1.24/version'), { ApiVersion: '1.41' })
  const services = await asked<Service[]>(host, '/v1.24/services')
  const networks = await asked<{ Id: string; Scope: string }[]>(
    host,
    `/v1.24/networks?${filtered({ scope: { swarm: true } })}`,
  )
  t.ok(networks.every(({ Scope }) => Scope === 'swarm'))
  const web = services.find(({ Spec }) => Spec.Name === 'web')
  const vips = web?.Endpoint.VirtualIPs ?? []
  t.ok(vips.length >= 2, 'the mesh’s and its own network’s')
  for (const { NetworkID, Addr } of vips) {
    t.match(Addr, /^[\d.]+\/\d+$/)
    t.ok(networks.some(({ Id }) => Id === NetworkID))
  }
  const wanted = filtered({
    service: { [String(web?.ID)]: true },
    'desired-state': { running: true },
  })
  const tasks = await asked<Task[]>(host, `/v1.24/tasks?${wanted}`)
  t.equal(tasks.length, 2)
  for (const task of tasks) {
    for (const { Network, Addresses } of task.NetworksAttachments ?? []) {
      t.ok(networks.some(({ Id }) => Id === Network.ID))
      t.match(Addresses[0], /^[\d.]+\/\d+$/)
    }
    const node = await asked<Node>(host, `/v1.24/nodes/${task.NodeID}`)
    t.match(node.Status.Addr, /^[\d.]+$/)
  }
}

/** What Portainer's dashboard and its service view ask; its older versions leave the API version out. */
const portainer = async (t: Test, host: LabHost) => {
  const paths = ['/info', '/version', '/nodes', '/services?status=true', '/tasks', '/networks']
  for (const path of [...paths, '/secrets', '/configs', '/swarm', '/_ping', '/containers/json']) {
    for (const prefix of ['', '/v1.41']) {
      t.equal((await host.apiRequest(`${prefix}${path}`)).status, 200, `${prefix}${path}`)
    }
  }
  const label = { 'com.docker.swarm.service.name=web': true }
  const containers = await asked<{ Names: string[]; Labels: Record<string, string> }[]>(
    host,
    `/containers/json?${filtered({ label })}`,
  )
  const tasks = await asked<Task[]>(host, `/tasks?${filtered({ service: { web: true } })}`)
  for (const { Names, Labels } of containers) {
    const task = tasks.find(({ ID }) => ID === Labels['com.docker.swarm.task.id'])
    t.match(Labels, {
      'com.docker.swarm.node.id': task?.NodeID,
      'com.docker.swarm.service.id': task?.ServiceID,
      'com.docker.swarm.task.name': `web.${task?.Slot}.${task?.ID}`,
    })
    t.strictSame(Names, [`/web.${task?.Slot}.${task?.ID}`])
  }
  t.ok(containers.length > 0)
  const shown = await host.apiRequest(`/services/web/logs?stdout=1&tail=5&timestamps=1`)
  t.match([shown.status, shown.text], [200, /started version=1/])
}

labTest(t, 'other clients', { hosts: 2 }, async (t, lab) => {
  const h1 = lab.host(1)
  await formCluster(lab, { managers: 1 })
  const dockerHost = `unix://${h1.swarmctlSocket}`
  const env = { DOCKER_HOST: dockerHost }
  await t.test('python3-docker', (t) => python(t as Test, h1, env))
  await t.test('Ansible', (t) => ansible(t as Test, h1, env))
  await h1.swarmctl(['network', 'create', '--driver', 'overlay', 'back'])
  const flags = ['--name', 'web', '--replicas', '2', '--network', 'back', '--publish', '8088:80']
  await h1.swarmctl(['service', 'create', '--detach', ...flags, IMAGE])
  await untilRunning(h1, 'web', 2)
  await t.test('Prometheus', (t) => prometheus(t as Test, h1, dockerHost))
  await t.test('Traefik’s calls', (t) => traefik(t as Test, h1))
  await t.test('Portainer’s calls', (t) => portainer(t as Test, h1))
})
