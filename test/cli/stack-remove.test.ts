/** `stack rm`: how long it waits for a stack's tasks, and what it says of those that stay. */
import t, { type Test } from 'tap'
import { NAMESPACE_LABEL } from '../../src/api/stack-labels.ts'
import { runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleNode, sampleTask } from '../support/objects.ts'

const SECOND_NS = 1e9

/** A clock that only the command's own pauses move. */
const start = async (t: Test) => {
  const node = await ApiNode.start()
  t.teardown(() => node.stop())
  const { store } = node.swarm
  let elapsedMs = 0
  const script: { atMs: number; step: () => unknown }[] = []
  const at = (seconds: number, step: () => unknown) =>
    script.push({ atMs: elapsedMs + seconds * 1000, step })
  const run = async (line: string) => {
    const startMs = elapsedMs
    const ran = await runCli(['-H', node.host, ...line.split(' ')], {
      nowMs: () => elapsedMs,
      sleep: async (ms) => {
        elapsedMs += ms
        while (script[0] !== undefined && script[0].atMs <= elapsedMs) await script.shift()!.step()
      },
    })
    return { ...ran, seconds: (elapsedMs - startMs) / 1000 }
  }
  /** A stack of one service; its tasks need `drain` and `grace` seconds to end. */
  const deploy = async (name: string, nodes: string[], [drain, grace] = [30, 10]) => {
    const label = `${NAMESPACE_LABEL}=${name}`
    const made = await run(
      `service create -d --no-resolve-image --name ${name}_web --label ${label} nginx`,
    )
    await store.update((tx) => {
      for (const [i, NodeID] of nodes.entries()) {
        const task = sampleTask(`${name}${i}`, made.out.trim(), { NodeID, Slot: i })
        tx.put('task', {
          ...task,
          Spec: { ContainerSpec: { Image: 'nginx', StopGracePeriod: grace * SECOND_NS } },
          Swarmctl: {
            ...task.Swarmctl,
            ServiceLabels: { [NAMESPACE_LABEL]: name },
            DrainLimit: drain * SECOND_NS,
          },
        })
      }
    })
  }
  const end = () =>
    store.update((tx) => {
      for (const { ID } of tx.list('task')) tx.remove('task', ID)
    })
  return { node, run, at, deploy, end }
}

t.test('tasks that stay are told of, with where they are, and the command fails', async (t) => {
  const { node, run, deploy } = await start(t)
  await deploy('demo', [NODE_ID, NODE_ID, 'gone', ''])
  await deploy('next', [])
  const ran = await run('stack rm demo next')
  t.match(ran, { code: 1, out: /Removing service demo_web\n[\s\S]*Removing service next_web\n/ })
  const name = node.swarm.store.view().get('node', NODE_ID)?.Description.Hostname
  t.equal(
    ran.err,
    `swarmctl: stack demo still has 4 tasks on gone, ${name}: see "swarmctl stack ps demo"; what is on a node that is down goes when the node is back, or with "swarmctl node rm --force"\n`,
  )
  t.equal(ran.seconds, 30 + 10 + 60 + 0.2)
  t.match(await run('stack ps demo'), { code: 0 }, 'it shows them')
})

t.test('a line about many nodes stays short', async (t) => {
  const { node, run, deploy } = await start(t)
  await node.swarm.store.update((tx) => {
    for (let i = 11; i < 20; i++) tx.put('node', sampleNode(`n${i}`, i))
  })
  await deploy(
    'demo',
    Array.from({ length: 9 }, (_, i) => `n${i + 11}`),
  )
  t.match(await run('stack rm demo'), {
    code: 1,
    err: /has 9 tasks on host-11, host-12, host-13, host-14, host-15 and 4 more: /,
  })
})

t.test('tasks are waited for as long as they may take to end', async (t) => {
  const { run, at, deploy, end } = await start(t)
  await deploy('demo', [NODE_ID], [120, 600])
  at(700, end)
  const ran = await run('stack rm demo')
  t.match(ran, { code: 0, err: '' })
  t.equal(ran.seconds, 700)
})

t.test('a change of the leader does not end the wait, --detach does not begin it', async (t) => {
  const { node, run, at, deploy, end } = await start(t)
  await deploy('demo', [NODE_ID])
  at(1, () => {
    node.swarm.leader = { kind: 'none', message: 'nobody leads' }
  })
  at(9, () => {
    node.swarm.leader = { kind: 'self' }
  })
  at(12, end)
  t.match(await run('stack rm demo'), { code: 0, err: '', seconds: 12 })
  await deploy('demo', [NODE_ID])
  t.match(await run('stack rm -d demo'), { code: 0, err: '', seconds: 0 })
})
