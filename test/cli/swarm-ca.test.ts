/** The swarm's CA and settings, as their commands show and change them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { progressLines, rotationProgress } from '../../src/cli/swarm/rotation-progress.ts'
import { clusterTLSInfo } from '../../src/manager/ca/cluster-ca.ts'
import { RootRotation } from '../../src/manager/ca/root-rotation.ts'
import { newJoinToken } from '../../src/pki/join-token.ts'
import { createRootCA } from '../../src/pki/root-ca.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'
import { sampleCluster, sampleNode } from '../support/objects.ts'
import { noLog, realClock } from '../support/rpc/cluster-fixture.ts'

/** A swarm with a real CA whose nodes get a certificate as soon as they are asked, unless they are away. */
const start = async (t: Test) => {
  const api = await startNode(t)
  const { store } = api.swarm
  const root = await createRootCA(realClock)
  await store.update((tx) => {
    const cluster = tx.cluster()!
    const ca = { RootCACert: root.certPem, RootCAKey: root.keyPem }
    const TLSInfo = clusterTLSInfo(ca)
    tx.put('cluster', { ...cluster, TLSInfo, Swarmctl: { ...cluster.Swarmctl, ...ca } })
    for (const node of tx.list('node'))
      tx.put('node', { ...node, Description: { ...node.Description, TLSInfo } })
  })
  const nodeIds = store
    .view()
    .list('node')
    .map(({ ID }) => ID)
  const certify = (asked: readonly string[]) =>
    store.update((tx) => {
      for (const id of asked) {
        const node = tx.get('node', id)!
        const { TLSInfo } = tx.cluster()!
        tx.put('node', { ...node, Description: { ...node.Description, TLSInfo } })
      }
    })
  const agents = {
    connectedNodes: nodeIds,
    askToRenew: (asked: readonly string[]) => void certify(asked),
  }
  const loop = new RootRotation({
    ...{ store, clock: realClock, log: noLog, agents },
    newJoinToken: (rootCACert) => newJoinToken(rootCACert),
  })
  loop.start()
  t.teardown(() => loop.stop())
  // The rest of the node's part: it trusts the new root alone when the rotation is over.
  const unwatch = store.watch((changes) => {
    for (const change of changes) {
      if (change.kind !== 'cluster' || change.object?.RootRotationInProgress) continue
      setImmediate(() => void certify(agents.connectedNodes))
    }
  })
  t.teardown(unwatch)
  const run = (line: string | string[], options: RunOptions = {}) =>
    runCli(['-H', api.host, ...(typeof line === 'string' ? line.split(' ') : line)], options)
  const cluster = () => store.view().cluster()!
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-ca-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  return { api, run, store, cluster, root, agents, nodeIds, file, certify }
}

t.test('swarm ca shows and rotates', async (t) => {
  const { run, cluster, root, nodeIds } = await start(t)
  t.strictSame(await run('swarm ca'), { code: 0, out: root.certPem, err: '' })
  const ran = await run('swarm ca --rotate --cert-expiry 72h')
  t.equal(ran.code, 0, ran.err)
  t.not(cluster().Swarmctl.RootCACert, root.certPem)
  const all = `${nodeIds.length}/${nodeIds.length} nodes`
  t.match(ran.out, `rotated TLS certificates: ${all}\n`)
  t.match(ran.out, `rotated CA certificates: ${all}\n`)
  t.ok(ran.out.endsWith(cluster().TLSInfo.TrustRoot))
  t.match(cluster().Spec.CAConfig, { NodeCertExpiry: 259_200_000_000_000, ForceRotate: 1 })
  t.strictSame(await run('swarm ca --rotate -q'), { code: 0, out: '', err: '' })
  t.equal(cluster().Spec.CAConfig?.ForceRotate, 2)
})

t.test('a change of the leader does not end the wait', async (t) => {
  const { api, run, cluster, agents, nodeIds, certify } = await start(t)
  agents.connectedNodes = nodeIds.slice(1)
  let pauses = 0
  const sleep = async () => {
    pauses += 1
    if (pauses === 1) api.swarm.leader = { kind: 'none', message: 'nobody leads' }
    if (pauses === 5) {
      api.swarm.leader = { kind: 'self' }
      agents.connectedNodes = nodeIds
      await certify(nodeIds)
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  const ran = await run('swarm ca --rotate -q', { sleep })
  t.strictSame(ran, { code: 0, out: '', err: '' })
  t.ok(pauses >= 5)
  t.notOk(cluster().RootRotationInProgress)
})

t.test('it waits, names whom for, and Ctrl-C leaves it to go on', async (t) => {
  const { run, cluster, agents, nodeIds, store } = await start(t)
  const [away, ...others] = nodeIds as [string, ...string[]]
  agents.connectedNodes = others
  t.strictSame(await run('swarm ca --rotate --detach'), { code: 0, out: '', err: '' })
  await store.update((tx) => {
    const node = tx.get('node', away)!
    tx.put('node', { ...node, Status: { ...node.Status, State: 'down' } })
  })
  const stop = new AbortController()
  const hostname = store.view().get('node', away)!.Description.Hostname
  const sleep = async () => {
    stop.abort()
    throw stop.signal.reason
  }
  const rotating = await run('swarm ca --rotate', { signal: stop.signal, sleep })
  t.equal(rotating.code, 130)
  t.match(rotating.out, `waiting for ${hostname} (down)`)
  t.ok(cluster().RootRotationInProgress)
})

t.test("a CA of one's own, and flags that don't fit", async (t) => {
  const { run, cluster, file } = await start(t)
  const mine = await createRootCA(realClock)
  const [cert, key] = [file('cert.pem', mine.certPem), file('key.pem', mine.keyPem)]
  const ran = await run(['swarm', 'ca', '--rotate', '--ca-cert', cert, '--ca-key', key])
  t.equal(ran.code, 0, ran.err)
  t.equal(cluster().Swarmctl.RootCACert, mine.certPem)
  t.ok(ran.out.endsWith(mine.certPem))
  t.notOk(cluster().Spec.CAConfig?.ForceRotate)

  const refused: [string[], RegExp][] = [
    [['--cert-expiry', '72h'], /`--cert-expiry` flag requires the `--rotate` flag/],
    [['--ca-key', key], /`--ca-key` flag requires the `--rotate` flag/],
    [['--rotate', '--ca-cert', cert], /--ca-cert flag requires that a --ca-key flag/],
    [['--rotate', '--external-ca', 'protocol=cfssl,url=https://ca'], /`--ca-cert` flag to specify/],
    [['--rotate', '--ca-key', key], /signing CA cert must also be provided/],
    [['--rotate', '--ca-cert', join(cert, 'absent'), '--ca-key', key], /can't read .*absent/],
    [['--rotate', '--ca-cert', file('x', 'hello'), '--ca-key', key], /is not in PEM format/],
    [['--rotate', '--cert-expiry', '1m'], /minimum certificate expiry time is: 1h0m0s/],
  ]
  const before = cluster().Version.Index
  for (const [flags, message] of refused) {
    t.match(await run(['swarm', 'ca', ...flags]), { code: 1, err: message }, flags.join(' '))
  }
  t.equal(cluster().Version.Index, before)
})

t.test('every setting by its flag', async (t) => {
  const { run, cluster } = await start(t)
  const flags =
    'swarm update --task-history-limit 9 --dispatcher-heartbeat 2s --max-snapshots 2 --snapshot-interval 500 --cert-expiry 48h'
  t.match(await run(flags), { code: 0, out: 'Swarm updated.\n' })
  t.match(cluster().Spec, {
    Orchestration: { TaskHistoryRetentionLimit: 9 },
    Dispatcher: { HeartbeatPeriod: 2_000_000_000 },
    Raft: { KeepOldSnapshots: 2, SnapshotInterval: 500 },
    CAConfig: { NodeCertExpiry: 172_800_000_000_000 },
  })
  await run('swarm update --max-snapshots 1')
  t.match(cluster().Spec, {
    Orchestration: { TaskHistoryRetentionLimit: 9 },
    Raft: { KeepOldSnapshots: 1, SnapshotInterval: 500 },
    CAConfig: { NodeCertExpiry: 172_800_000_000_000 },
  })
  const before = cluster().Version.Index
  t.match(await run('swarm update'), { code: 0, out: /Usage: swarmctl swarm update/ })
  t.equal(cluster().Version.Index, before, 'nothing to change')
  const refused: [string, RegExp][] = [
    ['--dispatcher-heartbeat x', /invalid value "x" for --dispatcher-heartbeat/],
    ['--max-snapshots -1', /invalid value "-1" for --max-snapshots|argument/],
    ['--external-ca nonsense', /invalid field 'nonsense' must be a key=value pair/],
    ['--external-ca url=https://ca', /needs a protocol= parameter/],
    ['--external-ca protocol=cfssl', /needs a url= parameter/],
    ['--external-ca protocol=acme,url=https://ca', /unrecognized external CA protocol acme/],
    ['--external-ca protocol=cfssl,url=https://ca,cacert=/absent', /can't read \/absent/],
  ]
  for (const [flag, message] of refused) {
    t.match(await run(`swarm update ${flag}`), { code: 125, err: message }, flag)
  }
})

t.test('progress of a rotation', async (t) => {
  const info = (key: string, TrustRoot: string) => ({
    ...{ TrustRoot, CertIssuerSubject: 's', CertIssuerPublicKey: key },
  })
  const node = (id: string, TLSInfo: ReturnType<typeof info> | undefined) => {
    const sample = sampleNode(id, 1)
    return { ...sample, Description: { ...sample.Description, ...(TLSInfo && { TLSInfo }) } }
  }
  const swarm = { ...sampleCluster(), TLSInfo: info('new', 'both'), RootRotationInProgress: true }
  const some = [
    node('a', info('new', 'both')),
    node('b', info('old', 'both')),
    node('c', undefined),
  ]
  t.match(rotationProgress(swarm, some), { certificates: 1, roots: 0, total: 3, isDone: false })
  const over = { ...swarm, TLSInfo: info('new', 'new'), RootRotationInProgress: false }
  const nearly = [node('a', info('new', 'new')), node('b', info('new', 'both'))]
  t.match(rotationProgress(over, nearly), {
    certificates: 2,
    roots: 1,
    waitsFor: [],
    isDone: false,
  })
  t.ok(rotationProgress(over, [nearly[0]!]).isDone)
  const many = Array.from({ length: 9 }, (_, i) => node(`n${i}`, undefined))
  t.match(progressLines(rotationProgress(swarm, many))[0], /0\/9 nodes, waiting for .* and 4 more$/)
})
