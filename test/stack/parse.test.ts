import t from 'tap'
import { parseBytes } from '../../src/stack/parse/bytes.ts'
import { parseCapabilities } from '../../src/stack/parse/capabilities.ts'
import { parseCpus } from '../../src/stack/parse/cpus.ts'
import { durationText, parseDuration } from '../../src/stack/parse/duration.ts'
import { parseEnvFile } from '../../src/stack/parse/env-file.ts'
import { checkImageReference, familiarImage } from '../../src/stack/parse/image-reference.ts'
import { parsePortSpec } from '../../src/stack/parse/port.ts'
import { splitShellWords } from '../../src/stack/parse/shell-words.ts'
import { parseVolumeSpec } from '../../src/stack/parse/volume.ts'
import { decodeText } from '../../src/stack/source/stack-files.ts'

const s = 1_000_000_000

t.test('durations', async (t) => {
  const cases: [text: string, ns: number, shown: string][] = [
    ['30s', 30 * s, '30s'],
    ['1m30s', 90 * s, '1m30s'],
    ['1.5h', 5400 * s, '1h30m0s'],
    ['500ms', s / 2, '500ms'],
    ['.5s', s / 2, '500ms'],
    ['1500ms', 1.5 * s, '1.5s'],
    ['2us', 2000, '2µs'],
    ['2µs', 2000, '2µs'],
    ['1ns', 1, '1ns'],
    ['-2s', -2 * s, '-2s'],
    ['0', 0, '0s'],
    ['60m', 3600 * s, '1h0m0s'],
  ]
  for (const [text, ns, shown] of cases) {
    t.equal(parseDuration(text), ns, text)
    t.equal(durationText(ns), shown, `${ns} ns`)
  }
  for (const text of ['', '5', '1d', 's', '1 s', '1.s.', '9999999h']) {
    t.throws(() => parseDuration(text), { message: /invalid duration/ }, JSON.stringify(text))
  }
})

t.test('memory', async (t) => {
  const cases: [text: string, bytes: number][] = [
    ['512M', 512 * 2 ** 20],
    ['1g', 2 ** 30],
    ['1.5GB', 1.5 * 2 ** 30],
    ['64 KiB', 65_536],
    ['100', 100],
    ['100b', 100],
    ['1.9', 1],
    ['1t', 2 ** 40],
  ]
  for (const [text, bytes] of cases) t.equal(parseBytes(text), bytes, text)
  for (const text of ['lots', '', '-5m', '1x', '1kx', '1ib', 'M', '1.2.3k']) {
    t.throws(() => parseBytes(text), { message: /invalid size/ }, JSON.stringify(text))
  }
  t.throws(() => parseBytes('8192p'), { message: "invalid size: '8192p': too large" })
})

t.test('CPUs', async (t) => {
  const cases: [text: string, nano: number][] = [
    ['0.5', 0.5e9],
    ['2', 2e9],
    ['.001', 1e6],
    ['1e-1', 1e8],
    ['1/4', 0.25e9],
    ['0', 0],
  ]
  for (const [text, nano] of cases) t.equal(parseCpus(text), nano, text)
  for (const text of ['abc', '', '1/0', '1/2/3', '1e999999999']) {
    t.throws(() => parseCpus(text), { message: /failed to parse/ }, text)
  }
  t.throws(() => parseCpus('0.0000000001'), { message: /too precise/ })
  t.throws(() => parseCpus('1/3'), { message: /too precise/ })
})

t.test('ports', async (t) => {
  const shown = (text: string): string[] =>
    parsePortSpec(text).map((port) => `${port.published}:${port.target}/${port.protocol}`)
  const cases: [text: string, ports: string[]][] = [
    ['80', ['0:80/tcp']],
    ['8080:80', ['8080:80/tcp']],
    ['53:53/UDP', ['53:53/udp']],
    ['9000-9001:90-91', ['9000:90/tcp', '9001:91/tcp']],
    ['7000-7001:70', ['7000:70/tcp', '7001:70/tcp']],
    ['90-91', ['0:90/tcp', '0:91/tcp']],
    ['127.0.0.1:1:2', ['1:2/tcp']],
    ['[::1]:1:2/sctp', ['1:2/sctp']],
    ['127.0.0.1::2', ['0:2/tcp']],
    ['53:53/udp/tcp', ['53:53/udp']],
    ['80/', ['0:80/tcp']],
  ]
  for (const [text, ports] of cases) t.strictSame(shown(text), ports, text)
  t.equal(parsePortSpec('[::1]:1:2')[0]?.hostIp, '::1')
  for (const text of [
    '',
    'abc:80',
    '80:',
    '1:2/x',
    '70000',
    '2-1',
    '1-3:1-2',
    'host:1:2',
    '1-2-3',
    '+1:2',
    '1:+2',
  ]) {
    t.throws(() => parsePortSpec(text), { message: /invalid|no container port/ }, text)
  }
})

t.test('volumes', async (t) => {
  const cases: [spec: string, volume: object][] = [
    ['/data', { type: 'volume', target: '/data' }],
    ['data:/data', { type: 'volume', source: 'data', target: '/data' }],
    ['./x:/x:ro', { type: 'bind', source: './x', target: '/x', read_only: true }],
    ['~/x:/x', { type: 'bind', source: '~/x', target: '/x' }],
    ['data:/x:nocopy', { type: 'volume', source: 'data', target: '/x', volume: { nocopy: true } }],
    ['C:\\a:/a', { type: 'bind', source: 'C:\\a', target: '/a' }],
    [
      '/a:/a:rshared',
      { type: 'bind', source: '/a', target: '/a', bind: { propagation: 'rshared' } },
    ],
    ['v:/d', { type: 'volume', target: 'v:/d' }],
    ['a', { type: 'volume', target: 'a' }],
  ]
  for (const [spec, volume] of cases) t.strictSame(parseVolumeSpec(spec).volume, volume, spec)
  t.strictSame(parseVolumeSpec('a1:/b:z,ro').unknown, ['z'])
  for (const spec of ['', ':/x', '/a::/b', '/a:/b:ro:x']) {
    t.throws(() => parseVolumeSpec(spec), { message: /invalid/ }, JSON.stringify(spec))
  }
})

t.test('images', async (t) => {
  const digest = `sha256:${'a'.repeat(64)}`
  const cases: [image: string, shown: string][] = [
    ['nginx', 'nginx:latest'],
    ['nginx:1', 'nginx:1'],
    ['docker.io/library/nginx', 'nginx:latest'],
    ['docker.io/a/b:1', 'a/b:1'],
    ['library/nginx', 'nginx:latest'],
    ['r.example:5000/a/b', 'r.example:5000/a/b:latest'],
    ['localhost/a', 'localhost/a:latest'],
    [`nginx@${digest}`, `nginx@${digest}`],
    [`nginx:1@${digest}`, `nginx:1@${digest}`],
  ]
  for (const [image, shown] of cases) {
    checkImageReference(image)
    t.equal(familiarImage(image), shown, image)
  }
  for (const image of ['', 'foo/Bar', 'Foo', 'a b', ':1', 'a:', 'a/:1', 'a@sha256:1', '-a']) {
    t.throws(() => checkImageReference(image), Error, JSON.stringify(image))
  }
})

t.test('command lines', async (t) => {
  const cases: [text: string, words: string[]][] = [
    ['a b  c', ['a', 'b', 'c']],
    [`sh -c "echo \\"hi\\" $X"`, ['sh', '-c', 'echo "hi" $X']],
    [`a'b c'd\\ e`, ['ab cd e']],
    ['a # comment\nb#c', ['a', 'b#c']],
    [`'' ""`, ['', '']],
    ['  ', []],
    ["'a\\b'", ['a\\b']],
  ]
  for (const [text, words] of cases) t.strictSame(splitShellWords(text), words, text)
  for (const text of ['"a', "a'", 'a\\']) {
    t.throws(() => splitShellWords(text), { message: /invalid command/ }, text)
  }
})

t.test('env files', async (t) => {
  const parsed = parseEnvFile('\uFEFFA=1\r\n# c\n\n  B= x \nC\nD\nE=a=b\n', (name) =>
    name === 'C' ? 'c' : undefined,
  )
  t.strictSame(Object.fromEntries(parsed), { A: '1', B: ' x ', C: 'c', E: 'a=b' })
  t.throws(() => parseEnvFile('A B=1', () => undefined), { message: /contains whitespaces/ })
  t.throws(() => parseEnvFile('=1', () => undefined), { message: /no variable name/ })
})

t.test('capabilities', async (t) => {
  t.strictSame(parseCapabilities(['net_admin', 'CAP_SYS_TIME', 'NET_ADMIN'], ['all']), {
    add: ['CAP_NET_ADMIN', 'CAP_SYS_TIME'],
    drop: ['ALL'],
  })
  t.strictSame(parseCapabilities(['chown'], ['chown', 'kill', 'reset']), {
    add: ['CAP_CHOWN'],
    drop: ['CAP_KILL'],
  })
})

t.test('the bytes of files', async (t) => {
  const littleEndian = Buffer.from('\ufeffa: é', 'utf16le')
  for (const bytes of [
    Buffer.from('a: é'),
    Buffer.from('\ufeffa: é'),
    littleEndian,
    Buffer.from(littleEndian).swap16(),
  ]) {
    t.equal(decodeText(bytes), 'a: é')
  }
  t.equal(decodeText(new Uint8Array()), '')
  t.throws(() => decodeText(Buffer.from([0x61, 0xff])), { message: 'it is not text in UTF-8' })
})
