import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Cluster } from '../../src/api/swarm.ts'
import { SIGN_PATH } from '../support/ca/cfssl-signer.ts'
import { inspectTask, nodesByName, untilRunning } from '../support/lab/api.ts'
import { formCluster, joinHost } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { daemonsLive } from '../support/lab/waits.ts'

// The root CA is rotated while the cluster works, is disturbed, and is not complete.

const COMMAND = { timeoutMs: 60_000 }
const SIGNER = join(import.meta.dirname, '../support/ca/signer-process.ts')
const SIGNER_PORT = 8888
const UNCHECKED = { ...COMMAND, check: false }
/** Writes to be seen after a rotation began: enough that many of them fall into it. */
const WRITES = 50

const swarmOf = async (host: LabHost): Promise<Cluster> =>
  (await host.apiRequest('/swarm')).json() as Cluster

const tokenOf = async (host: LabHost, role: string): Promise<string> =>
  (await host.swarmctl(['join-token', '-q', role], COMMAND)).stdout.trim()

/** All nodes are ready and show the certificate that the swarm wants, and trust nobody else. */
const untilWhole = (at: LabHost, names: readonly string[]): Promise<unknown> =>
  eventually(
    async () => {
      const { TLSInfo, RootRotationInProgress } = await swarmOf(at)
      const nodes = await nodesByName(at)
      const wrong = names.filter((name) => {
        const node = nodes.get(name)
        const shown = JSON.stringify(node?.Description.TLSInfo)
        return node?.Status.State !== 'ready' || shown !== JSON.stringify(TLSInfo)
      })
      if (RootRotationInProgress || wrong.length > 0) throw new Error(`not yet: ${wrong}`)
      return true
    },
    { what: `certificates of the one root on ${names.join(', ')}`, timeoutMs: 60_000 },
  )

/** Writes through each manager's own socket, one after the other, until it is told to stop. */
const writeThrough = (managers: readonly LabHost[], prefix: string) => {
  const writer = { count: 0, failures: [] as string[], stop: async () => {} }
  let isRunning = true
  const write = async (host: LabHost): Promise<void> => {
    for (let i = 0; isRunning; i++) {
      const body = { Name: `${prefix}-${host.name}-${i}`, Data: 'eA==' }
      try {
        const answer = await host.apiRequest('/configs/create', { body })
        if (answer.status === 201) writer.count += 1
        else writer.failures.push(`${host.name}: ${answer.status} ${answer.text}`)
      } catch (error) {
        writer.failures.push(`${host.name}: ${(error as Error).message}`)
      }
      await sleep(5)
    }
  }
  const running = Promise.all(managers.map(write))
  writer.stop = async () => {
    isRunning = false
    await running
  }
  return writer
}

labTest(t, 'the root CA is rotated', { hosts: 5 }, async (t, lab) => {
  const [h1, h2, h3, h4, h5] = lab.hosts as [LabHost, LabHost, LabHost, LabHost, LabHost]
  const managers = [h1, h2, h3]
  await formCluster(lab, { managers: 3, workers: 1 })
  await h5.spawnDaemon()
  const names = managers.concat(h4).map(({ name }) => name)
  const pids = new Map([h1, h2, h3, h4].map((host) => [host, host.daemon?.pid]))

  await t.test('under writes: none fails, nothing is interrupted', async (t) => {
    const create = ['service', 'create', '-q', '--no-resolve-image', '--name', 'web']
    await h1.swarmctl([...create, '--replicas', '4', 'swarmctl-test:1'], COMMAND)
    const tasks = await untilRunning(h1, 'web', 4)
    const startedAt = async () =>
      (await Promise.all(tasks.map((task) => inspectTask(lab.hosts, task)))).map(
        ({ container }) => `${container.Id} ${container.State.StartedAt}`,
      )
    const before = await startedAt()
    const leader = [...(await nodesByName(h1)).values()].find((node) => node.ManagerStatus?.Leader)
    const [oldRoot, oldToken] = [(await swarmOf(h1)).TLSInfo.TrustRoot, await tokenOf(h1, 'worker')]

    const writer = writeThrough(managers, 'during')
    await eventually(() => writer.count > WRITES, { what: 'writes go on' })
    // The docker CLI waits until every node has followed.
    const rotated = await h2.dockerViaSwarmctl(['swarm', 'ca', '--rotate'], COMMAND)
    const seen = writer.count
    await untilWhole(h1, names)
    await eventually(() => writer.count > seen + WRITES, { what: 'writes go on after it' })
    await writer.stop()
    t.strictSame(writer.failures, [])

    const { TLSInfo } = await swarmOf(h3)
    t.not(TLSInfo.TrustRoot, oldRoot)
    t.ok(rotated.stdout.includes(TLSInfo.TrustRoot.trim()), 'it shows the new root')
    t.equal((await h3.swarmctl(['swarm', 'ca'], COMMAND)).stdout, TLSInfo.TrustRoot)
    const status = await h1.dockerViaSwarmctl(['node', 'ls', '--format', '{{.TLSStatus}}'])
    t.strictSame(new Set(status.stdout.trim().split('\n')), new Set(['Ready']))
    for (const host of [h1, h2, h3, h4]) {
      const file = await host.exec('cat', [`${host.dataDir}/credentials.json`])
      const { rootCAPem } = JSON.parse(file.stdout) as { rootCAPem: string }
      t.equal(rootCAPem, TLSInfo.TrustRoot, `${host.name} trusts the new root alone, on disk too`)
    }
    t.strictSame(await startedAt(), before, 'the containers ran through')
    daemonsLive(t, pids)
    const after = [...(await nodesByName(h1)).values()].find((node) => node.ManagerStatus?.Leader)
    t.equal(after?.ID, leader?.ID, 'no election')

    const old = await h5.swarmctl(['join', '--token', oldToken, `${h1.ip}:2377`], UNCHECKED)
    t.not(old.code, 0)
    t.match(old.stderr, /its CA is another one/)
    await joinHost(h5, h3, await tokenOf(h2, 'worker'))
    await untilWhole(h1, [...names, 'h5'])
  })

  await t.test('a leader dies in it, a node is away, a second one begins', async (t) => {
    await h5.kill9Daemon()
    await eventually(async () => (await nodesByName(h1)).get('h5')?.Status.State === 'down', {
      what: 'h5 is down',
    })
    const token = await tokenOf(h1, 'worker')
    const byName = await nodesByName(h1)
    const leader = managers.find(({ name }) => byName.get(name)?.ManagerStatus?.Leader) as LabHost
    const [other, third] = managers.filter((host) => host !== leader) as [LabHost, LabHost]
    await other.swarmctl(['swarm', 'ca', '--rotate', '--detach'], COMMAND)
    await leader.kill9Daemon()
    const issuer = async () => (await swarmOf(other)).TLSInfo.CertIssuerPublicKey
    const untilCertified = (hosts: readonly LabHost[]) =>
      eventually(
        async () => {
          const [wanted, nodes] = [await issuer(), await nodesByName(other)]
          return hosts.every(
            ({ name }) => nodes.get(name)?.Description.TLSInfo?.CertIssuerPublicKey === wanted,
          )
        },
        { what: 'new certificates on who is there', timeoutMs: 60_000 },
      )
    await untilCertified([other, third, h4])
    const first = await issuer()
    await leader.spawnDaemon()
    await untilCertified(managers)
    t.ok((await swarmOf(other)).RootRotationInProgress, 'h5 is waited for')
    t.equal(await tokenOf(other, 'worker'), token, 'tokens are as before until then')

    await third.swarmctl(['swarm', 'ca', '--rotate', '--detach'], COMMAND)
    t.not(await issuer(), first)
    await untilCertified([...managers, h4])
    t.ok((await swarmOf(other)).RootRotationInProgress, 'h5 is waited for')

    await h5.spawnDaemon()
    await untilWhole(other, [...names, 'h5'])
    t.not(await tokenOf(other, 'worker'), token)
  })

  await t.test("to a CA of one's own, and restarted nodes find each other by it", async (t) => {
    const [key, cert] = [`${h1.dir}/ca-key.pem`, `${h1.dir}/ca.pem`]
    const algorithm = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
    await h1.exec('openssl', ['genpkey', ...algorithm, '-out', key])
    const subject = ['-days', '3650', '-subj', '/O=lab/CN=our root']
    await h1.exec('openssl', ['req', '-x509', '-key', key, ...subject, '-out', cert])
    const rotate = ['swarm', 'ca', '--rotate', '--ca-cert', cert, '--ca-key', key]
    const { stdout } = await h1.swarmctl(rotate, COMMAND)
    t.match(stdout, 'rotated CA certificates: 5/5 nodes')
    t.equal((await swarmOf(h1)).TLSInfo.TrustRoot, (await h1.exec('cat', [cert])).stdout)
    for (const host of lab.hosts) await host.kill9Daemon()
    await Promise.all(lab.hosts.map((host) => host.spawnDaemon()))
    await untilWhole(h2, [...names, 'h5'])
  })

  await t.test('to a CA outside, whose signer certifies, and back', async (t) => {
    const [key, cert, clients] = ['out-key.pem', 'out.pem', 'clients.pem'].map((name) =>
      join(h5.dir, name),
    ) as [string, string, string]
    const algorithm = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']
    await h5.exec('openssl', ['genpkey', ...algorithm, '-out', key])
    const subject = ['-days', '3650', '-subj', '/CN=outside']
    await h5.exec('openssl', ['req', '-x509', '-key', key, ...subject, '-out', cert])
    const [present, outside] = [(await swarmOf(h1)).TLSInfo.TrustRoot, await readFile(cert, 'utf8')]
    await writeFile(clients, present + outside)
    const signer = await h5.spawn([
      process.execPath,
      SIGNER,
      ...[cert, key, clients, h5.ip, String(SIGNER_PORT)],
    ])
    await eventually(() => signer.log().includes('listens'), { what: 'the signer listens' })
    const url = `https://${h5.ip}:${SIGNER_PORT}${SIGN_PATH}`
    const external = ['--external-ca', `protocol=cfssl,url=${url}`]
    await h2.dockerViaSwarmctl(['swarm', 'ca', '--rotate', '--ca-cert', cert, ...external], COMMAND)
    await untilWhole(h1, [...names, 'h5'])
    t.equal((await swarmOf(h1)).TLSInfo.TrustRoot, outside)
    const ids = [...(await nodesByName(h1)).values()].map(({ ID }) => ID)
    for (const id of ids) t.match(signer.log(), `signs for ${id}`)

    await h1.swarmctl(['swarm', 'ca', '--rotate'], COMMAND)
    await untilWhole(h1, [...names, 'h5'])
    t.match(signer.log(), 'signs for swarm-ca CA', 'it vouched for the new root')
    t.not((await swarmOf(h1)).TLSInfo.TrustRoot, outside)
    daemonsLive(t, new Map(lab.hosts.map((host) => [host, host.daemon?.pid])))
  })
})
