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

t.test('a bridge waits for that of a removed network which has its addresses', async (t) => {
  const refusal = Object.assign(new Error('networks have overlapping IPv4'), { statusCode: 403 })
  let others: object[] = []
  const removed: string[] = []
  const docker = {
    listNetworks: async () => others,
    createNetwork: () => Promise.reject(refusal),
    getNetwork: (id: string) => ({
      inspect: () => Promise.reject(Object.assign(new Error('no'), { statusCode: 404 })),
      remove: () => {
        removed.push(id)
        return Promise.reject(new Error('has active endpoints'))
      },
    }),
    version: async () => ({ Version: '20.10.24' }),
  } as unknown as DockerNetworks
  const bridges = new Bridges({ docker, proc: {} as never, log: {} as never })
  const network = {
    ...{ id: 'n2', name: 'again', index: 2, bridge: 'sw-br2', device: 'sw-vx0', mtu: 0 },
    ...{ subnet: '172.28.0.0/16', gateway: '172.28.255.253', internal: false, ipv6: null },
  } as unknown as Parameters<Bridges['ensure']>[0]
  const old = (Name: string, id: string, Subnet: string) => ({
    Id: Name,
    Name,
    Labels: { 'swarmctl.network': id, 'swarmctl.network.name': 'before' },
    IPAM: { Config: [{ Subnet }] },
  })
  others = [old('swarmctl-1', 'n1', '172.28.5.0/24')]
  await t.rejects(bridges.ensure(network, 1450), {
    code: 'UNAVAILABLE',
    message: /still ends here/,
  })
  t.strictSame(removed.splice(0), ['swarmctl-1'])
  others = [old('swarmctl-1', 'n1', '172.29.5.0/24'), old('swarmctl-2', 'n2', '172.28.0.0/16')]
  await t.rejects(bridges.ensure(network, 1450), { code: 'ENGINE_UNAVAILABLE' }, 'it is another’s')
  t.strictSame(removed, [])
})
