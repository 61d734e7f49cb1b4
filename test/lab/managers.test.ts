import t from 'tap'
import { nodesByName } from '../support/lab/api.ts'
import { formCluster, joinHost } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Replicated managers: quorum, forwarding, failover, snapshots, promote and demote.

interface Created {
  name: string
  acknowledged: boolean
}

/** Writes configs one after the other through a manager until told to stop; notes which were acknowledged. */
const writeConfigs = (host: () => LabHost, prefix: string) => {
  const written: Created[] = []
  let isOver = false
  const run = async (): Promise<void> => {
    for (let n = 0; !isOver; n += 1) {
      const name = `${prefix}-${n}`
      const answer = await host()
        .apiRequest('/configs/create', {
          method: 'POST',
          body: { Name: name, Labels: {}, Data: 'eA==' },
        })
        .catch(() => undefined)
      written.push({ name, acknowledged: answer?.status === 201 })
    }
  }
  const running = run()
  return {
    written,
    async stop(): Promise<Created[]> {
      isOver = true
      await running
      return written
    },
  }
}

const configNames = async (host: LabHost, stale = false): Promise<Set<string>> => {
  const answer = await host.apiRequest(`/configs${stale ? '?stale=1' : ''}`)
  if (answer.status !== 200) throw new Error(answer.text)
  return new Set((answer.json() as { Spec: { Name: string } }[]).map((config) => config.Spec.Name))
}

const leaderOf = (hosts: readonly LabHost[], at: LabHost): Promise<LabHost> =>
  eventually(
    async () => {
      const nodes = await nodesByName(at)
      const leader = [...nodes.values()].find((node) => node.ManagerStatus?.Leader)
      return hosts.find((host) => host.name === leader?.Description.Hostname)
    },
    { what: 'a leader' },
  )

labTest(t, 'managers replicate, fail over and change', { hosts: 4 }, async (t, lab) => {
  const [h1, h2, h3, h4] = lab.hosts as [LabHost, LabHost, LabHost, LabHost]
  const managers = [h1, h2, h3]
  await formCluster(lab, { managers: 3, workers: 1 })

  await t.test("every manager's socket serves every command", async (t) => {
    for (const host of managers) {
      await host.swarmctl(['network', 'create', `net-${host.name}`])
      await host.swarmctl(['secret', 'create', `s-${host.name}`, '-'], { input: 'x' })
    }
    for (const host of managers) {
      const ls = (await host.swarmctl(['network', 'ls'])).stdout
      for (const other of managers) t.match(ls, `net-${other.name}`)
      t.equal((await host.swarmctl(['secret', 'ls', '-q'])).stdout.trim().split('\n').length, 3)
    }
    const names = await eventually(
      async () => {
        const all = [...(await nodesByName(h3)).values()]
        return all.filter((node) => node.ManagerStatus?.Reachability === 'reachable').length === 3
      },
      { what: 'three reachable managers' },
    )
    t.ok(names)
  })

  await t.test('the leader killed with -9: writes go on, none is lost, it rejoins', async (t) => {
    const leader = await leaderOf(managers, h1)
    const others = managers.filter((host) => host !== leader)
    const writer = writeConfigs(() => others[0] as LabHost, 'fail')
    await eventually(async () => writer.written.filter((w) => w.acknowledged).length > 20, {
      what: 'writes before the kill',
    })
    await leader.kill9Daemon()
    const before = writer.written.length
    await eventually(
      async () => writer.written.slice(before).filter((w) => w.acknowledged).length > 20,
      { what: 'writes after the kill' },
    )
    const written = await writer.stop()
    const next = await leaderOf(managers, others[0] as LabHost)
    t.not(next.name, leader.name)
    await leader.spawnDaemon([])
    for (const host of [...others, leader]) {
      // By what it has applied itself: without `stale` every answer would be the leader's.
      const lost = async () => {
        const names = await configNames(host, true)
        return written.filter(({ name, acknowledged }) => acknowledged && !names.has(name))
      }
      await eventually(async () => (await lost()).length === 0, {
        what: `${host.name} has every acknowledged write`,
      })
      t.strictSame(await lost(), [], `safety: nothing lost on ${host.name}`)
    }
    await eventually(
      async () =>
        (await nodesByName(h1)).get(leader.name)?.ManagerStatus?.Reachability === 'reachable',
      { what: 'the old leader reachable again' },
    )
  })

  await t.test(
    'a minority acknowledges nothing; healed, it has what the majority wrote',
    async (t) => {
      const leader = await leaderOf(managers, h1)
      const rest = lab.hosts.filter((host) => host !== leader)
      await lab.partition([[leader], rest])
      const cut = await leader.apiRequest('/configs/create', {
        method: 'POST',
        body: { Name: 'minority', Labels: {}, Data: 'eA==' },
      })
      t.ok(cut.status >= 500, `${cut.status} ${cut.text}`)
      const major = rest.find((host) => managers.includes(host)) as LabHost
      await eventually(
        async () =>
          (
            await major.apiRequest('/configs/create', {
              method: 'POST',
              body: { Name: 'majority', Labels: {}, Data: 'eA==' },
            })
          ).status === 201,
        { what: 'a write of the majority' },
      )
      await lab.heal()
      await eventually(async () => (await configNames(leader, true)).has('majority'), {
        what: 'the old leader caught up',
      })
      t.notOk((await configNames(leader, true)).has('minority'))
    },
  )

  await t.test(
    'a manager that was down for thousands of entries catches up by snapshot',
    async (t) => {
      const leader = await leaderOf(managers, h1)
      const away = managers.find((host) => host !== leader) as LabHost
      await away.kill9Daemon()
      const batch = 16
      for (let at = 0; at < 2500; at += batch) {
        await Promise.all(
          Array.from({ length: batch }, (_, n) =>
            leader.apiRequest('/configs/create', {
              method: 'POST',
              body: { Name: `bulk-${at + n}`, Labels: {}, Data: 'eA==' },
            }),
          ),
        )
      }
      // The file goes on: when it joined, it took over a snapshot as well.
      const saidBefore = away.daemon?.log().length
      await away.spawnDaemon([])
      await eventually(async () => (await configNames(away, true)).has('bulk-2400'), {
        what: 'the state of the manager that was away',
        timeoutMs: 60_000,
      })
      t.match(away.daemon?.log().slice(saidBefore), /took over a snapshot/, 'by snapshot')
      const all = [...(await configNames(leader))].sort()
      // What came after the snapshot follows.
      await eventually(async () => (await configNames(away, true)).size >= all.length, {
        what: 'the rest of it',
      })
      t.strictSame([...(await configNames(away, true))].sort(), all)
    },
  )

  await t.test('promote and demote change the membership', async (t) => {
    const reader = await h4.spawnSwarmctl(['events', '--filter', 'type=config'])
    await h1.swarmctl(['node', 'promote', 'h4'])
    await eventually(
      async () => (await nodesByName(h1)).get('h4')?.ManagerStatus?.Reachability === 'reachable',
      { what: 'h4 a manager' },
    )
    await eventually(
      async () => {
        await h1.swarmctl(['config', 'create', 'seen', '-'], { input: 'x' })
        await h1.swarmctl(['config', 'rm', 'seen'])
        return /config remove .*seen/.test(reader.log())
      },
      { what: 'who reads events since before sees those of the swarm' },
    )
    const others = reader
      .log()
      .trim()
      .split('\n')
      .filter((line) => !line.includes('seen'))
    t.strictSame(others, [], 'but no past ones')
    await reader.stop()
    const ls = await eventually(
      async () => (await h4.swarmctl(['node', 'ls'], { check: false })).stdout || undefined,
      { what: 'h4 serves commands' },
    )
    t.match(ls, /h4/)
    const leader = await leaderOf(managers, h1)
    await h4.swarmctl(['node', 'demote', leader.name])
    await eventually(
      async () => (await nodesByName(h4)).get(leader.name)?.ManagerStatus === undefined,
      { what: 'the leader demoted' },
    )
    const refused = await eventually(
      async () => {
        const result = await leader.swarmctl(['node', 'ls'], { check: false })
        return result.code === 1 && /not a swarm manager/.test(result.stderr) ? result : undefined
      },
      { what: 'the demoted leader a worker' },
    )
    t.ok(refused)
    const rest = [...managers, h4].filter((host) => host !== leader)
    const [first, second, third] = rest as [LabHost, LabHost, LabHost]
    await first.swarmctl(['node', 'demote', second.name])
    await eventually(
      async () => (await nodesByName(first)).get(second.name)?.ManagerStatus === undefined,
      { what: 'the second demoted' },
    )
    await first.swarmctl(['node', 'demote', third.name])
    const last = await eventually(
      async () => {
        const result = await first.swarmctl(['node', 'demote', first.name], { check: false })
        return result.code === 1 ? result : undefined
      },
      { what: 'the last manager kept' },
    )
    t.match(last.stderr, /last manager/)
    t.equal((await first.swarmctl(['config', 'ls', '-q'])).code, 0, 'the state is all there')
  })

  await t.test('a manager leaves with --force, another joins in its place', async (t) => {
    const answers = await Promise.all(lab.hosts.map((host) => host.apiRequest('/nodes')))
    const manager = lab.hosts[answers.findIndex(({ status }) => status === 200)] as LabHost
    const token = (await manager.swarmctl(['join-token', '-q', 'manager'])).stdout.trim()
    const other = lab.hosts.find((host) => host !== manager) as LabHost
    await other.swarmctl(['leave'])
    await joinHost(other, manager, token)
    await eventually(
      async () =>
        [...(await nodesByName(manager)).values()].filter((node) => node.ManagerStatus).length ===
        2,
      { what: 'two managers' },
    )
    await other.swarmctl(['leave', '--force'], { timeoutMs: 60_000 })
    await eventually(
      async () => (await manager.swarmctl(['node', 'ls'], { check: false })).code === 0,
      {
        what: 'the other manager works alone',
      },
    )
    t.equal((await manager.swarmctl(['network', 'create', 'after'])).code, 0)
  })
})
