import t from 'tap'
import { engineNameservers, NameClients } from '../../src/overlay/name-clients.ts'

t.test('whom a container asks that was not given the overlay’s servers', async (t) => {
  const clients = new NameClients()
  const client = {
    ...{ address: '10.5.1.9', gateway: '10.5.1.1', sources: ['172.17.0.3'] },
    nameservers: [] as string[],
  }
  t.ok(clients.isEmpty)
  t.ok(clients.set('t1', client))
  t.notOk(clients.isEmpty)
  t.notOk(clients.set('t1', { ...client }), 'no news')
  t.strictSame(
    [...clients.redirects(['192.168.0.53'])],
    [
      ['10.5.1.9 . 192.168.0.53', '10.5.1.1'],
      ['172.17.0.3 . 192.168.0.53', '10.5.1.1'],
    ],
  )
  t.equal(clients.addressOf('172.17.0.3'), '10.5.1.9')
  t.equal(clients.addressOf('172.17.0.4'), '172.17.0.4')
  t.strictSame(clients.nameserversOf('10.5.1.9'), [])
  t.ok(clients.set('t1', { ...client, nameservers: ['9.9.9.9', 'fd00::9'] }))
  t.strictSame(
    [...clients.redirects(['192.168.0.53']).keys()],
    ['10.5.1.9 . 9.9.9.9', '172.17.0.3 . 9.9.9.9'],
    'its own servers, those that packets of ours can go to',
  )
  t.strictSame(clients.nameserversOf('10.5.1.9'), ['9.9.9.9', 'fd00::9'])
  t.strictSame(clients.nameserversOf('10.5.1.8'), [])
  t.ok(clients.delete('t1'))
  t.notOk(clients.delete('t1'))
  t.equal(clients.redirects(['192.168.0.53']).size, 0)
})

t.test('the servers that the Engine gives', async (t) => {
  t.strictSame(engineNameservers([['192.168.0.1', '::1'], ['1.1.1.1']]), ['192.168.0.1'])
  t.strictSame(engineNameservers([['127.0.0.53'], ['1.1.1.1']]), ['1.1.1.1'], 'behind a stub')
  t.strictSame(engineNameservers([['127.0.0.1'], []]), ['8.8.8.8', '8.8.4.4'])
})
