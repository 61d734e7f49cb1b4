import { isIPv6, SocketAddress } from 'node:net'
import t from 'tap'
import { parseCidr, parseIpv4 } from '../../src/api/ipv4.ts'
import {
  containsIpv6,
  formatIpv6,
  formatIpv6Cidr,
  isUnicast,
  overlapsIpv6,
  parseIpv6,
  parseIpv6Cidr,
} from '../../src/api/ipv6.ts'
import {
  canMirror,
  mirrorAddress,
  mirrorBlock,
  mirroredAddress,
} from '../../src/api/ipv6-mirror.ts'

t.test('addresses are read and written as the platform does', async (t) => {
  const texts = [
    '::',
    '::1',
    '1::',
    'fd00:1::a00:305',
    'FD00:0:0:1:0:0:0:1',
    '1:0:0:2:0:0:0:3',
    '1:2:3:4:5:6:7:8',
    '0:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '1:0:2:0:3:0:4:0',
    'fd00::1:0:0:1',
  ]
  for (const text of texts) {
    t.ok(isIPv6(text), text)
    const { address } = new SocketAddress({ address: text, family: 'ipv6' })
    t.equal(formatIpv6(parseIpv6(text)!), address, text)
  }
})

t.test('what is no address is none', async (t) => {
  for (const text of [
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '12345::',
    '1:2:3:4::5:6:7:8',
    '::10.0.0.1',
    ':1:2:3:4:5:6:7',
  ])
    t.equal(parseIpv6(text), undefined, text)
})

t.test('blocks', async (t) => {
  const block = (text: string) => parseIpv6Cidr(text)!
  t.equal(formatIpv6Cidr(block('fd00:1::77/64')), 'fd00:1::/64', 'host bits go')
  for (const text of ['fd00::', 'fd00::/129', 'fd00::/x', '10.0.0.0/8', '::/0x1'])
    t.equal(parseIpv6Cidr(text), undefined, text)
  t.ok(overlapsIpv6(block('fd00::/16'), block('fd00:1::/64')))
  t.ok(overlapsIpv6(block('fd00:1::/64'), block('fd00::/16')))
  t.notOk(overlapsIpv6(block('fd00:1::/64'), block('fd00:1:0:1::/64')))
  t.ok(containsIpv6(block('fd00::/64'), parseIpv6('fd00::ffff:ffff:ffff:ffff')!))
  t.notOk(containsIpv6(block('fd00::/64'), parseIpv6('fd00:0:0:1::')!))
  t.strictSame(
    ['fd12::/64', 'fc00::/7', '2001:db8::/32', 'fe80::/64', 'ff00::/8', '::/0', '::1/128'].map(
      (text) => isUnicast(block(text)),
    ),
    [true, true, true, false, false, false, false],
  )
})

t.test('an address and its twin', async (t) => {
  const twin = (subnet: string, address: string) =>
    formatIpv6(mirrorAddress(parseIpv6Cidr(subnet)!, parseIpv4(address)!))
  t.equal(twin('fd00:1::/64', '10.0.3.5'), 'fd00:1::a00:305')
  t.equal(twin('fd00:1::/64', '250.0.0.1'), 'fd00:1::fa00:1', 'beyond 31 bits')
  t.equal(twin('fd00:1::/112', '10.0.3.5'), 'fd00:1::305')
  t.equal(twin('fd00:1::a00/120', '10.0.3.5'), 'fd00:1::a05')
  const part = (subnet: string, block: string) =>
    formatIpv6Cidr(mirrorBlock(parseIpv6Cidr(subnet)!, parseCidr(block)!))
  t.equal(part('fd00:1::/64', '10.0.3.0/24'), 'fd00:1::a00:300/120')
  t.equal(part('fd00:1::/112', '10.0.3.0/24'), 'fd00:1::300/120')
})

t.test(
  'every address of the IPv4 subnet has a twin that leads back to it, and nothing else does',
  async (t) => {
    const cases = [
      ['fd00:1::/64', '10.0.3.0/24'],
      ['fd00:1::/96', '250.0.0.0/24'],
      ['fd00:1::/112', '10.0.3.0/24'],
      ['fd00:1::/120', '10.0.3.0/24'],
    ] as const
    for (const [text6, text] of cases) {
      const [subnet6, subnet] = [parseIpv6Cidr(text6)!, parseCidr(text)!]
      t.ok(canMirror(subnet6, subnet))
      const twins = new Set<bigint>()
      for (let address = subnet.first; address < subnet.first + 256; address++) {
        const twin = mirrorAddress(subnet6, address)
        twins.add(twin)
        t.ok(containsIpv6(subnet6, twin))
        t.ok(containsIpv6(mirrorBlock(subnet6, subnet), twin))
        t.equal(mirroredAddress(subnet6, subnet, twin), address)
      }
      t.equal(twins.size, 256)
      t.equal(mirroredAddress(subnet6, subnet, subnet6.first - 1n), undefined)
      const beyond = mirrorBlock(subnet6, subnet).first + 256n
      t.equal(mirroredAddress(subnet6, subnet, beyond), undefined)
    }
    t.notOk(canMirror(parseIpv6Cidr('fd00::/121')!, parseCidr('10.0.0.0/24')!))
  },
)
