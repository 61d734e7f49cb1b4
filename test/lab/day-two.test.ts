import t from 'tap'
import { nodesByName, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Day 2 of a cluster: locked managers, a lost majority, damaged disks, backups, changed addresses.

const CREATE = ['service', 'create', '--quiet', '--no-resolve-image']

/** A command that must fail; returns its one line. */
const refused = async (host: LabHost, args: string[], input?: string): Promise<string> => {
  const result = await host.swarmctl(args, {
    check: false,
    timeoutMs: 60_000,
    ...(input !== undefined && { input }),
  })
  if (result.code === 0) throw new Error(`${args.join(' ')} was not refused: ${result.stdout}`)
  return result.stderr.trim()
}

const localState = async (host: LabHost): Promise<string> =>
  (await host.dockerViaSwarmctl(['info', '--format', '{{.Swarm.LocalNodeState}}'])).stdout.trim()

const untilState = (host: LabHost, state: string): Promise<unknown> =>
  eventually(async () => (await localState(host)) === state, { what: `${host.name} ${state}` })

const untilReachable = (at: LabHost, names: readonly string[]): Promise<unknown> =>
  eventually(
    async () => {
      const nodes = await nodesByName(at)
      return names.every((name) => nodes.get(name)?.ManagerStatus?.Reachability === 'reachable')
    },
    { what: `${names.join(', ')} reachable managers`, timeoutMs: 60_000 },
  )

const restart = async (host: LabHost): Promise<void> => {
  await host.kill9Daemon()
  await host.spawnDaemon([])
}

labTest(t, 'managers lock, and a survivor goes on alone', { hosts: 4 }, async (t, lab) => {
  const [h1, h2, h3, h4] = lab.hosts as [LabHost, LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 3, workers: 1, initArgs: ['--autolock'] })
  const keyOf = async (host: LabHost) => (await host.swarmctl(['unlock-key', '-q'])).stdout.trim()

  await t.test('a restarted manager is locked until it gets the key', async (t) => {
    const key = await keyOf(h2)
    t.match(key, /^SWMKEY-1-/)
    await untilReachable(h1, ['h1', 'h2', 'h3'])
    for (const host of [h1, h2, h3]) {
      await eventually(
        async () =>
          (await host.exec('grep', ['-c', 'sealed', `${host.dataDir}/data-key.json`])).stdout,
        { what: `the key of ${host.name} is sealed` },
      )
      const plain = ['-rlE', 'PRIVATE KEY', host.dataDir]
      t.equal((await host.exec('grep', plain, { check: false })).stdout, '', 'no key is plain')
    }
    await restart(h2)
    await untilState(h2, 'locked')
    t.match(await refused(h2, ['node', 'ls']), /needs to be unlocked/)
    t.match(await refused(h2, ['leave']), /locked.*--force/)
    t.match(await refused(h2, ['unlock'], `SWMKEY-1-${'A'.repeat(43)}\n`), /invalid key/)
    const nodes = await eventually(
      async () => {
        const all = await nodesByName(h1)
        return all.get('h2')?.ManagerStatus?.Reachability === 'unreachable' ? all : undefined
      },
      { what: 'the others see that it is away' },
    )
    t.equal(nodes.get('h2')?.Spec.Role, 'manager')
    await h2.swarmctl(['unlock'], { input: `${key}\n` })
    t.equal(await localState(h2), 'active')
    await untilReachable(h1, ['h2'])
    t.match(await refused(h2, ['unlock'], `${key}\n`), /not locked/)
  })

  await t.test('the docker CLI rotates, shows and gives the key; off means off', async (t) => {
    const old = await keyOf(h1)
    const docker = (args: string[], input?: string) =>
      h3.dockerViaSwarmctl(['swarm', ...args], input === undefined ? {} : { input })
    const rotated = (await docker(['unlock-key', '-q', '--rotate'])).stdout.trim()
    t.not(rotated, old)
    t.equal((await docker(['unlock-key', '-q'])).stdout.trim(), rotated)
    await eventually(
      async () => {
        await restart(h3)
        await untilState(h3, 'locked')
        return (await refused(h3, ['unlock'], `${old}\n`)).includes('invalid key')
      },
      { what: 'the old key opens nothing any more' },
    )
    await docker(['unlock'], `${rotated}\n`)
    await untilReachable(h1, ['h3'])
    await h1.swarmctl(['swarm', 'update', '--autolock=false'])
    await eventually(
      async () =>
        (await h3.exec('grep', ['-c', 'plain', `${h3.dataDir}/data-key.json`], { check: false }))
          .code === 0,
      { what: 'the key is plain again' },
    )
    await restart(h3)
    await untilReachable(h1, ['h3'])
    t.match(await refused(h1, ['unlock-key']), /no unlock key is set/)
  })

  await t.test(
    'a survivor of a lost majority keeps all state and refuses the others',
    async (t) => {
      await h1.swarmctl([...CREATE, '--name', 'web', '--replicas', '2', 'swarmctl-test:1'])
      await h1.swarmctl(['secret', 'create', 'kept', '-'], { input: 'x' })
      await untilRunning(h1, 'web', 2)
      const before = {
        cluster: ((await h1.apiRequest('/swarm')).json() as { ID: string }).ID,
        token: (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout,
        worker: (await nodesByName(h1)).get('h4')?.ID,
      }
      await h1.kill9Daemon()
      await h2.kill9Daemon()
      await eventually(async () => (await h3.apiRequest('/nodes')).status >= 500, {
        what: 'no leader',
      })
      const init = ['swarm', 'init', '--force-new-cluster']
      t.match((await h3.dockerViaSwarmctl(init, { timeoutMs: 60_000 })).stdout, /now a manager/)
      const nodes = await nodesByName(h3)
      t.strictSame([...nodes.keys()].sort(), ['h3', 'h4'])
      t.equal(nodes.get('h4')?.ID, before.worker)
      t.equal(((await h3.apiRequest('/swarm')).json() as { ID: string }).ID, before.cluster)
      t.equal((await h3.swarmctl(['join-token', '-q', 'worker'])).stdout, before.token)
      t.match((await h3.swarmctl(['secret', 'ls'])).stdout, /kept/)
      await untilRunning(h3, 'web', 2, { on: ['h3', 'h4'] })
      await h3.swarmctl(['service', 'scale', '-q', 'web=3'])
      await untilRunning(h3, 'web', 3, { on: ['h3', 'h4'] })

      await h1.spawnDaemon([])
      await h2.spawnDaemon([])
      // Those two are a majority of the old members.
      await eventually(async () => /removed/.test(h1.daemon?.log() ?? ''), {
        what: 'h1 is told that it is removed',
      })
      t.strictSame([...(await nodesByName(h3)).keys()].sort(), ['h3', 'h4'])
      await restart(h3)
      await eventually(async () => (await nodesByName(h3)).size === 2, { what: 'it stays so' })
      await h1.swarmctl(['leave', '--force'], { timeoutMs: 60_000 })
      const token = (await h3.swarmctl(['join-token', '-q', 'manager'])).stdout.trim()
      await h1.swarmctl(['join', '--token', token, `${h3.ip}:2377`], { timeoutMs: 60_000 })
      await untilReachable(h3, ['h1', 'h3'])
      t.match(await refused(h4, ['init', '--force-new-cluster']), /not a swarm manager/)
    },
  )
})
