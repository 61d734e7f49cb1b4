/** The demo's story, the same wherever it plays. */
import assert from 'node:assert'
import type { Task } from '../../src/api/task.ts'
import { eventually } from '../../test/support/lab/eventually.ts'
import type { Narrator } from './narrator.ts'
import type { DemoNode, DemoSite } from './site.ts'
import { ask, countWhile } from './traffic.ts'

const STACK = 'demo'
const WEB = `${STACK}_web`
const IMAGE = 'swarmctl-test'
const REPLICAS = 6
/** Of each node: every replica answers, and then the first one again. */
const ASKED_TIMES = 4
const WAIT_MS = 120_000
const POLL_MS = 50

/** Tells all of it. Returns whether everything went as promised. */
export const tellStory = async (site: DemoSite, narrator: Narrator): Promise<boolean> => {
  const [first] = site.nodes
  assert(first !== undefined, 'a site has nodes')
  await formSwarm(site, narrator, first)
  await deployStack(site, narrator, first)
  await askInTurn(site, narrator)
  narrator.chapter('Scale it')
  await narrator.swarmctl(first, ['service', 'scale', `${WEB}=${REPLICAS}`])
  await narrator.swarmctl(first, ['stack', 'services', STACK])
  const isClean = await updateUnderLoad(site, narrator, first)
  await killContainer(site, narrator, first)
  await killNode(site, narrator, first)
  return isClean
}

const formSwarm = async (site: DemoSite, narrator: Narrator, first: DemoNode): Promise<void> => {
  narrator.chapter('swarmctl makes them one swarm')
  const init = ['init', '--advertise-addr', first.ip, ...site.initArgs]
  await narrator.swarmctl(first, init, { output: false })
  const token = (await first.swarmctl(['join-token', '-q', 'manager'])).stdout.trim()
  for (const node of site.nodes.slice(1)) {
    await narrator.swarmctl(node, ['join', '--token', token, `${first.ip}:2377`], {
      shown: `swarmctl join --token ${token.slice(0, 12)}… ${first.ip}:2377`,
    })
  }
  await narrator.swarmctl(first, ['node', 'ls'])
}

const deployStack = async (site: DemoSite, narrator: Narrator, first: DemoNode): Promise<void> => {
  narrator.chapter('Deploy a stack: two services on an overlay network, one published port')
  const deploy = ['stack', 'deploy', '-c', 'examples/demo.yml', '--resolve-image', 'never', STACK]
  await narrator.swarmctl(first, deploy, {
    env: { DEMO_IMAGE: IMAGE, DEMO_VERSION: '1', DEMO_PORT: String(site.port) },
  })
  await narrator.swarmctl(first, ['stack', 'ps', STACK])
}

const askInTurn = async (site: DemoSite, narrator: Narrator): Promise<void> => {
  narrator.chapter('Every node answers, whichever runs the replicas')
  for (const node of site.nodes) {
    const url = urlOf(site, node)
    const answers: string[] = []
    for (let turn = 0; turn < ASKED_TIMES; turn += 1) answers.push((await ask(url)).host)
    narrator.say(`GET ${url}  →  ${answers.join(', ')}`)
  }
  const filter = `label=com.docker.swarm.service.name=${WEB}`
  for (const node of site.nodes) {
    const found = (await node.docker(['ps', '-q', '--filter', filter])).stdout.trim().split('\n')[0]
    if (found === undefined || found === '') continue
    narrator.say('Services find each other by name, on the overlay network:')
    await narrator.docker(node, ['exec', found, 'curl', '-s', 'http://stock/'])
    return
  }
}

const updateUnderLoad = async (
  site: DemoSite,
  narrator: Narrator,
  first: DemoNode,
): Promise<boolean> => {
  narrator.chapter('Update it to version 2 while requests keep coming')
  const args = ['service', 'update', '--no-resolve-image', '--image', `${IMAGE}:2`, WEB]
  const counts = await countWhile(
    site.nodes.map((node) => urlOf(site, node)),
    () => narrator.swarmctl(first, args),
  )
  const versions = [...counts.byVersion].map(([version, count]) => `${count} by version ${version}`)
  narrator.say(`${counts.ok} requests answered: ${versions.join(', ')}`)
  if (counts.failed === 0) {
    narrator.good('0 requests failed')
    return true
  }
  narrator.bad(`${counts.failed} requests failed, the first: ${counts.firstFailure}`)
  return false
}

const killContainer = async (site: DemoSite, narrator: Narrator, at: DemoNode): Promise<void> => {
  narrator.chapter('Kill a container')
  const [victim] = await runningTasks(at)
  assert(victim !== undefined, 'the service runs')
  const names = await nodeNames(at)
  const node = site.nodes.find((one) => names.get(victim.NodeID) === one.name)
  const container = victim.Status.ContainerStatus?.ContainerID
  assert(node !== undefined && container !== undefined, 'a running task has both')
  await narrator.docker(node, ['kill', container.slice(0, 12)], { output: false })
  const startMs = performance.now()
  const next = await untilRunning(at, (tasks) => {
    const isReplaced = !tasks.some((task) => task.ID === victim.ID)
    return isReplaced ? tasks.find((task) => task.Slot === victim.Slot) : undefined
  })
  const where = names.get(next.NodeID) ?? next.NodeID
  narrator.good(`${WEB}.${victim.Slot} runs again on ${where}, after ${secondsSince(startMs)} s`)
}

const killNode = async (site: DemoSite, narrator: Narrator, at: DemoNode): Promise<void> => {
  const victim = site.nodes.at(-1)
  if (site.power === undefined || victim === undefined || victim === at) return
  narrator.chapter(`Kill a node: ${victim.name} loses its power`)
  const names = await nodeNames(at)
  const lost = (await runningTasks(at)).filter((task) => names.get(task.NodeID) === victim.name)
  narrator.say(`${lost.length} of ${REPLICAS} replicas ran there.`)
  site.power.off(victim)
  const startMs = performance.now()
  await untilRunning(at, (tasks) => tasks.every((task) => names.get(task.NodeID) !== victim.name))
  const others = site.nodes.filter((node) => node !== victim).map((node) => node.name)
  narrator.good(
    `All ${REPLICAS} run again, on ${others.join(' and ')}, after ${secondsSince(startMs)} s`,
  )
  await narrator.swarmctl(at, ['node', 'ls'])
  narrator.say(`${victim.name} is switched on again:`)
  await site.power.on(victim)
  await eventually(
    async () => {
      const answer = await at.apiRequest('/nodes')
      const nodes =
        answer.json<
          {
            Description: { Hostname: string }
            Status: { State: string }
            ManagerStatus?: { Reachability: string }
          }[]
        >()
      const node = nodes.find((one) => one.Description.Hostname === victim.name)
      return node?.Status.State === 'ready' && node.ManagerStatus?.Reachability === 'reachable'
    },
    { what: `${victim.name} is ready again`, timeoutMs: WAIT_MS, intervalMs: POLL_MS },
  )
  await narrator.swarmctl(at, ['node', 'ls'])
}

const urlOf = (site: DemoSite, node: DemoNode): string => `http://${node.ip}:${site.port}/`

const secondsSince = (startMs: number): string => ((performance.now() - startMs) / 1000).toFixed(1)

const nodeNames = async (at: DemoNode): Promise<Map<string, string>> => {
  const answer = await at.apiRequest('/nodes')
  const nodes = answer.json<{ ID: string; Description: { Hostname: string } }[]>()
  return new Map(nodes.map((node) => [node.ID, node.Description.Hostname]))
}

const runningTasks = async (at: DemoNode): Promise<Task[]> => {
  const filters = JSON.stringify({ service: { [WEB]: true }, 'desired-state': { running: true } })
  const answer = await at.apiRequest(`/tasks?filters=${encodeURIComponent(filters)}`)
  return answer.json<Task[]>().filter((task) => task.Status.State === 'running')
}

/** Waits until all replicas run and `pick` finds what it looks for among them. */
const untilRunning = <T>(at: DemoNode, pick: (tasks: readonly Task[]) => T) =>
  eventually(
    async () => {
      const tasks = await runningTasks(at)
      return tasks.length === REPLICAS ? pick(tasks) : undefined
    },
    { what: `${REPLICAS} replicas run again`, timeoutMs: WAIT_MS, intervalMs: POLL_MS },
  )
