import t from 'tap'
import { NAMESPACE_LABEL } from '../../src/api/stack-labels.ts'
import { Client } from '../../src/cli/client.ts'
import { awaitUnused } from '../../src/cli/stack/await-unused.ts'
import { startNode } from '../support/http/api-node.ts'
import { sampleTask } from '../support/objects.ts'

t.test('what is in use for too long is named', async (t) => {
  const node = await startNode(t)
  const task = (id: string, service: string, Slot: number, State: 'running' | 'complete') => {
    const { Swarmctl, ...rest } = sampleTask(id, service, { Slot, NodeID: 'n1' })
    return {
      ...rest,
      Status: { ...rest.Status, State },
      NetworksAttachments: [{ Network: { ID: 'net1' }, Addresses: [] }] as never,
      Swarmctl: { ...Swarmctl, ServiceLabels: { [NAMESPACE_LABEL]: 'demo' } },
    }
  }
  let slept = 0
  let onSleep = async (): Promise<void> => {}
  const context = {
    client: new Client(node.host),
    sleep: async () => {
      slept += 1
      await onSleep()
    },
  }
  const remove = [{ kind: 'remove-network', name: 'demo_net', id: 'net1' }] as const
  const wait = (removed: readonly string[] = []) => awaitUnused(context, 'demo', removed, remove)
  t.equal(await wait(), undefined)
  t.equal(slept, 0, 'nothing uses it')

  await node.swarm.store.update((tx) => {
    for (let slot = 1; slot <= 7; slot++)
      tx.put('task', task(`t${slot}`, 'demo_web', slot, 'running'))
    tx.put('task', task('gone', 'demo_web', 8, 'complete'))
  })
  const line = (await wait()) ?? ''
  t.match(
    line,
    /^what the deployment made is still in use after 120 s, by demo_web\.\d \(running\), /,
  )
  t.match(line, /\) and 2 more: see "swarmctl stack ps demo"$/)

  node.swarm.leader = { kind: 'none', message: 'nobody leads' }
  t.match(await wait(), /by what nobody says \(nobody leads\): see/)
  node.swarm.leader = { kind: 'self' }
  onSleep = () =>
    node.swarm.store.update((tx) => {
      for (const { ID } of tx.list('task')) tx.remove('task', ID)
    })
  t.equal(await wait(['demo_web']), undefined, 'the service’s tasks are gone, too')
})
