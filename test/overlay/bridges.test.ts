import t from 'tap'
import { Bridges, type DockerNetworks } from '../../src/overlay/bridges.ts'

t.test('bridges that nothing wants go, and nothing else of the node’s', async (t) => {
  const removed: string[] = []
  const labels = (id: string) => ({ 'swarmctl.network': id })
  const docker = {
    listNetworks: async () => [
      { Id: 'a', Name: 'swarmctl-1', Labels: labels('n1') },
      { Id: 'b', Name: 'swarmctl-2', Labels: labels('n2') },
      { Id: 'c', Name: 'swarmctl-local-m1', Labels: labels('m1') },
    ],
    getNetwork: (id: string) => ({
      inspect: async () => ({ Id: id, Name: id }),
      remove: async () => removed.push(id),
    }),
  } as Partial<DockerNetworks> as DockerNetworks
  const bridges = new Bridges({ docker, proc: {} as never, log: {} as never })
  t.equal(await bridges.removeUnwanted((id) => id === 'n1'), true)
  t.strictSame(removed, ['b'], 'a node-local network is no bridge of an overlay')
})
