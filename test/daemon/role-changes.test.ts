/** One change of a node's role after the other, without a pause. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { daemonOn, freePort, initRequest, joinRequest } from '../support/daemon/crash-node.ts'
import { StandInEngine } from '../support/http/stand-in-engine.ts'
import { eventually } from '../support/lab/eventually.ts'

t.test('a node that is promoted in the moment of its demotion becomes a manager', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-roles-'))
  const engine = new StandInEngine(join(dir, 'engine.sock'))
  await engine.start()
  const manager = await daemonOn(join(dir, 'data1'), engine.socketPath)
  const second = await daemonOn(join(dir, 'data2'), engine.socketPath)
  t.teardown(async () => {
    await second.stop()
    await manager.stop()
    await engine.stop()
    rmSync(dir, { recursive: true })
  })
  const [port, port2] = [await freePort(), await freePort()]
  await manager.init(initRequest(port))
  const { JoinTokens } = await manager.control().getCluster()
  await second.join(joinRequest(port2, port, JoinTokens.Worker))
  const { nodeId } = second.status()
  const setRole = async (Role: 'worker' | 'manager') => {
    const node = await manager.control().getNode(nodeId)
    await manager.control().updateNode(nodeId, node.Version.Index, { ...node.Spec, Role })
  }
  const ignore = () => {}
  for (let n = 0; n < 3; n += 1) {
    await setRole('manager')
    const votes = () => second.status().role === 'manager' && second.watch(ignore, ignore)
    await eventually(votes, { what: 'it votes', timeoutMs: 5_000, intervalMs: 5 })
    await setRole('worker')
    const isWorker = () => second.status().role === 'worker'
    await eventually(isWorker, { what: 'it is a worker', timeoutMs: 5_000, intervalMs: 1 })
  }
})
