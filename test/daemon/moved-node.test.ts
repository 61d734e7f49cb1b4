import type { NetworkInterfaceInfo } from 'node:os'
import t from 'tap'
import { AddressWatch } from '../../src/daemon/address-watch.ts'
import { movedAddresses, movedRecord, nodeAddresses } from '../../src/daemon/node-addresses.ts'
import type { NodeRecord } from '../../src/daemon/node-file.ts'
import { RaftLink } from '../../src/daemon/raft-link.ts'
import type { RpcConnection } from '../../src/rpc/connection.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'

const ipv4 = (address: string): NetworkInterfaceInfo => ({
  address,
  cidr: `${address}/24`,
  family: 'IPv4',
  internal: false,
  mac: '00:00:00:00:00:00',
  netmask: '255.255.255.0',
})

t.test('a node follows the address of its device, and guesses nothing', async (t) => {
  const asked = { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '', DataPathAddr: '' }
  const record = nodeAddresses(asked, { eth0: [ipv4('10.0.0.1')] })
  t.strictSame(record, {
    listenAddr: '0.0.0.0:2377',
    advertiseAddr: '10.0.0.1:2377',
    dataPathAddr: '10.0.0.1',
    device: 'eth0',
  })
  const moved = { ...record, advertiseAddr: '10.0.0.7:2377', dataPathAddr: '10.0.0.7' }
  t.strictSame(movedAddresses(record, { eth0: [ipv4('10.0.0.7')] }), moved)
  const both = [ipv4('10.0.0.7'), ipv4('10.0.0.1')]
  t.equal(movedAddresses(record, { eth0: both }), record, 'it still has it')
  t.equal(movedAddresses(record, { eth1: both }), record, 'another device has it')
  t.equal(movedAddresses(record, { eth0: [] }), record, 'no lease yet')
  t.equal(movedAddresses(record, { eth1: [ipv4('10.9.9.9')] }), record, 'the device is gone')
  const bound = { ...record, listenAddr: '10.0.0.1:2377' }
  t.equal(movedAddresses(bound, { eth0: [ipv4('10.0.0.7')] }).listenAddr, '10.0.0.7:2377')
  const routed = nodeAddresses(
    { ...asked, AdvertiseAddr: '203.0.113.1' },
    { eth0: [ipv4('10.0.0.1')] },
  )
  t.equal(routed.device, undefined, "a router's address")
  t.equal(movedAddresses(routed, { eth0: [ipv4('10.0.0.7')] }), routed)
})

t.test('a running node follows too, once the address has settled', async (t) => {
  let tick = () => {}
  let eth0 = [ipv4('10.0.0.1')]
  let moved = 0
  const record: NodeRecord = {
    ...{ nodeId: 'n', clusterId: 'c', listenAddr: '0.0.0.0:2377', dataPathAddr: '10.0.0.1' },
    ...{ advertiseAddr: '10.0.0.1:2377', device: 'eth0' },
    managers: [
      { nodeId: 'n', addr: '10.0.0.1:2377' },
      { nodeId: 'o', addr: '10.0.0.2:2377' },
    ],
  }
  let current: NodeRecord | undefined
  const clock = {
    nowMs: () => 0,
    schedule(_ms: number, run: () => void) {
      tick = run
      return () => {}
    },
  }
  const onMoved = () => {
    moved += 1
    current = movedRecord(record, { eth0 })
  }
  const interfaces = () => ({ eth0 })
  new AddressWatch({ clock, interfaces, record: () => current, onMoved }).start()
  tick()
  current = record
  tick()
  eth0 = []
  tick()
  eth0 = [ipv4('10.0.0.7')]
  tick()
  t.equal(moved, 0, 'it may still change back')
  tick()
  tick()
  tick()
  t.equal(moved, 1)
  t.equal(current.advertiseAddr, '10.0.0.7:2377')
  t.match(current.managers, [{ addr: '10.0.0.7:2377' }, { addr: '10.0.0.2:2377' }], 'itself, too')
})

t.test(
  'a member at an unknown new address is answered on the connection that it made',
  async (t) => {
    const sent: string[] = []
    const connection = (name: string): RpcConnection =>
      ({
        peer: { nodeId: 'b', role: 'manager', clusterId: 'c' },
        isOpen: true,
        notify: (_method: string, body: Uint8Array) => sent.push(`${name} ${Buffer.from(body)}`),
        onClose: () => {},
      }) as unknown as RpcConnection
    const handlers = new RpcHandlers()
    let dial: () => Promise<RpcConnection> = () => Promise.reject(new Error('no route'))
    const pool = { current: () => undefined, get: () => dial() }
    const senderOf = () => ({ isDemoted: false, isManagerAgain: true })
    const deps = { handlers, pool, bulkPool: pool, senderOf }
    const link = new RaftLink({ ...deps, addrOf: () => 'old:2377' })
    link.onMessage(() => {})
    const send = async (text: string) => {
      link.send('b', Buffer.from(text), { bulk: false })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await send('lost')
    t.strictSame(sent, [], 'it is where nobody knows')
    const inbound = connection('inbound')
    const { handler } = handlers.find('notify', 'raft.message', inbound.peer)
    handler(new Uint8Array([1]), {
      ...{ peer: inbound.peer, connection: inbound, remoteAddress: '10.0.0.7' },
      signal: new AbortController().signal,
    })
    await send('one')
    t.strictSame(sent, ['inbound one'])
    dial = async () => connection('own')
    await send('two')
    t.strictSame(sent, ['inbound one', 'inbound two'], 'each message once')
  },
)
