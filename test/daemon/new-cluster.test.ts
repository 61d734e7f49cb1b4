/** What `POST /swarm/init` refuses before there is a swarm. */
import t from 'tap'
import { InitRequest } from '../../src/api/swarm.ts'
import { newCluster } from '../../src/daemon/new-cluster.ts'

const clock = { nowMs: () => Date.now() } as Parameters<typeof newCluster>[1]['clock']

const begin = (body: object) =>
  newCluster(InitRequest.parse(body), { clock, addr: '10.1.0.1:2377', dataPathPort: 4789 })

t.test('a pool of addresses that no network has room in is refused', async (t) => {
  const refused: [body: object, message: RegExp][] = [
    [{ DefaultAddrPool: ['10.20.0.0/25'] }, /10\.20\.0\.0\/25 has no room for a \/24 network/],
    [{ DefaultAddrPool: ['10.0.0.0/8', '10.20.0.0/24'], SubnetSize: 20 }, /room for a \/20/],
    [{ DefaultAddrPool: ['10.0.0.0/8,172.16.0.0/12'] }, /invalid IPv4 subnet/],
    [{ DefaultAddrPool: ['fd00::/48'] }, /invalid IPv4 subnet fd00::\/48/],
    [{ SubnetSize: 30 }, /subnet size is out of range: 30/],
    [{ SubnetSize: 7 }, /10\.0\.0\.0\/8 has no room for a \/7/],
  ]
  for (const [body, message] of refused) {
    await t.rejects(async () => begin(body), { code: 'INVALID_ARGUMENT', message })
  }
  const { cluster } = await begin({ DefaultAddrPool: ['10.20.0.0/24'], SubnetSize: 26 })
  t.match(cluster, { DefaultAddrPool: ['10.20.0.0/24'], SubnetSize: 26 })
  t.match((await begin({})).cluster, { DefaultAddrPool: ['10.0.0.0/8'], SubnetSize: 16 })
  const given = await begin({ DefaultAddrPool: ['10.20.0.0/16'] })
  t.match(given.cluster, { SubnetSize: 24 }, 'as many networks as with Docker')
})
