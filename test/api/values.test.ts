import fc from 'fast-check'
import t from 'tap'
import {
  filterFlag,
  filterWords,
  matchesLabels,
  matchesPattern,
  requireFilterKeys,
} from '../../src/api/filters.ts'
import { imageReferenceProblem, parseImageReference } from '../../src/api/image-reference.ts'
import {
  addressOf,
  containsAddress,
  formatCidr,
  formatIpv4,
  lastAddress,
  overlaps,
  parseCidr,
  parseIpv4,
  requireCidr,
} from '../../src/api/ipv4.ts'

t.test('image references', async (t) => {
  const digest = `sha256:${'0a'.repeat(32)}`
  const valid: [string, object][] = [
    ['nginx', { domain: 'docker.io', path: 'library/nginx' }],
    ['nginx:1.27-alpine', { domain: 'docker.io', path: 'library/nginx', tag: '1.27-alpine' }],
    ['traefik/whoami', { domain: 'docker.io', path: 'traefik/whoami' }],
    ['index.docker.io/nginx', { domain: 'docker.io', path: 'library/nginx' }],
    ['localhost/a', { domain: 'localhost', path: 'a' }],
    ['registry:5000/a/b_c:t', { domain: 'registry:5000', path: 'a/b_c', tag: 't' }],
    ['[::1]:5000/a', { domain: '[::1]:5000', path: 'a' }],
    ['UPPER/a', { domain: 'UPPER', path: 'a' }],
    [`ghcr.io/o/app:1@${digest}`, { domain: 'ghcr.io', path: 'o/app', tag: '1', digest }],
    ['a__b/c--d', { domain: 'docker.io', path: 'a__b/c--d' }],
  ]
  for (const [text, parts] of valid) t.same(parseImageReference(text), parts, text)
  const bad = [
    '',
    'Nginx',
    'a b',
    'a:',
    ':tag',
    'a@sha256:12',
    'a//b',
    'a___b',
    '/a',
    'a/',
    '-a',
    'a:t:u',
    'f0'.repeat(32),
    `a/${'b'.repeat(255)}`,
  ]
  for (const text of bad) {
    t.equal(parseImageReference(text), undefined, text)
    t.ok(imageReferenceProblem(text), text)
  }
  for (const [text] of valid) t.equal(imageReferenceProblem(text), undefined, text)
  t.match(
    imageReferenceProblem('ghcr.io/Owner/app:1'),
    /repository name \(Owner\/app\) must be low/,
  )
  t.match(imageReferenceProblem('b'.repeat(256)), /not be more than 255 characters/)
  t.equal(imageReferenceProblem('a:t:u'), 'invalid reference format: a:t:u')
})

t.test('IPv4 arithmetic', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 32 }),
      (address, prefix) => {
        const block = parseCidr(`${formatIpv4(address)}/${prefix}`)
        return (
          parseIpv4(formatIpv4(address)) === address &&
          block !== undefined &&
          containsAddress(block, address) &&
          overlaps(block, { first: address, prefix: 32 }) &&
          lastAddress(block) < 2 ** 32
        )
      },
    ),
  )
  t.equal(formatCidr(requireCidr('10.1.2.3/16')), '10.1.0.0/16')
  t.equal(formatIpv4(addressOf('10.0.3.7/16')!), '10.0.3.7')
  t.notOk(overlaps(parseCidr('10.0.0.0/24')!, parseCidr('10.0.1.0/24')!))
  for (const text of ['10.0.0', '10.0.0.256', '010.0.0.1', '1.2.3.4.5', 'a.b.c.d', ''])
    t.equal(parseIpv4(text), undefined, text)
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '/8'])
    t.throws(() => requireCidr(text), { code: 'INVALID_ARGUMENT' }, text)
})

t.test('filters', async (t) => {
  t.throws(() => requireFilterKeys({ color: ['red'] }, ['id']), {
    message: "invalid filter 'color'",
    code: 'INVALID_ARGUMENT',
  })
  const labels = { a: '1', b: '' }
  t.ok(matchesLabels(['a', 'a=1', 'b', 'b='], labels))
  t.notOk(matchesLabels(['a=2'], labels))
  t.notOk(matchesLabels(['a', 'c'], labels))
  t.notOk(matchesLabels(['toString'], labels))
  t.equal(filterFlag({ x: ['1'] }, 'x'), true)
  t.throws(() => filterFlag({ x: ['yes'] }, 'x'))
  t.throws(() => filterFlag({ x: ['1', '0'] }, 'x'))
  t.same(filterWords({ x: ['', 'A', 'b'] }, 'x', ['a', 'b']), ['a', 'b'])
  t.throws(() => filterWords({ x: ['c'] }, 'x', ['a']), { message: "Invalid x filter: 'c'" })
  t.ok(matchesPattern(['^web$'], 'web'))
  t.ok(matchesPattern(['eb'], 'web'))
  t.notOk(matchesPattern(['^web$'], 'web2'))
  t.notOk(matchesPattern(['we('], 'web'), 'what is no pattern fits nothing')
})
