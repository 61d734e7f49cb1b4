import t from 'tap'
import { scalarText } from '../../src/stack/value.ts'
import { parseYaml as parse } from '../../src/stack/yaml/parse.ts'

const parseYaml = (text: string) => parse(text).root

import { plainScalar } from '../../src/stack/yaml/plain-scalar.ts'

t.test('what a plain scalar means, and its text', async (t) => {
  const cases: [text: string, value: unknown, shown?: string][] = [
    ['yes', 'yes'],
    ['on', 'on'],
    ['No', 'No'],
    ['true', true],
    ['False', false],
    ['~', null, 'null'],
    ['', null, 'null'],
    ['010', 8n, '8'],
    ['0o17', 15n, '15'],
    ['09', 9, '9'],
    ['0x1F', 31n, '31'],
    ['-0x10', -16n, '-16'],
    ['0b101', 5n, '5'],
    ['1_000', 1000n, '1000'],
    ['+5', 5n, '5'],
    ['1e3', 1000, '1000'],
    ['1e6', 1_000_000, '1e+06'],
    ['1000000', 1_000_000n, '1000000'],
    ['1.0', 1, '1'],
    ['.5', 0.5, '0.5'],
    ['0.00001', 0.00001, '1e-05'],
    ['0.0001', 0.0001, '0.0001'],
    ['123456.75', 123456.75, '123456.75'],
    ['-2.5e-10', -2.5e-10, '-2.5e-10'],
    ['12345678901234567890', 12345678901234567890n, '12345678901234567890'],
    ['99999999999999999999', 1e20, '1e+20'],
    ['1:30', '1:30'],
    ['22:22', '22:22'],
    ['1.2.3', '1.2.3'],
    ['3.8', 3.8, '3.8'],
    ['-', '-'],
    ['2001-01-01', '2001-01-01 00:00:00 +0000 UTC'],
    ['2001-1-2 3:04:05.50', '2001-01-02 03:04:05.5 +0000 UTC'],
    ['2001-02-30', '2001-02-30'],
    ['.inf', Number.POSITIVE_INFINITY, 'Infinity'],
    ['.iNf', '.iNf'],
  ]
  for (const [text, value, shown] of cases) {
    t.equal(plainScalar(text), value, `"${text}"`)
    if (shown !== undefined && Number.isFinite(Number(value ?? 0))) {
      t.equal(scalarText(plainScalar(text)), shown, `text of "${text}"`)
    }
  }
})

t.test('quotes, tags and blocks make strings', async (t) => {
  t.strictSame(parseYaml('a: "010"\nb: \'yes\'\nc: !!str 5\nd: |\n  7\n'), {
    a: '010',
    b: 'yes',
    c: '5',
    d: '7\n',
  })
})

t.test('a tag says how a scalar is read, quoted or not', async (t) => {
  const tagged = parseYaml(`
text: !!str 010
plain: ! 010
integer: !!int "5"
float: !!float 5
yes: !!bool "true"
none: !!null ""
date: !!timestamp 2001-01-01
time: !!timestamp 2001-01-01T10:00:00.1234567891Z
binary: !!binary aGk=
own: !secret 010
empty: !secret
merged: {!!merge <<: {a: b}}
`)
  t.strictSame(tagged, {
    text: '010',
    plain: '010',
    integer: 5n,
    float: 5,
    yes: true,
    none: null,
    date: '2001-01-01 00:00:00 +0000 UTC',
    time: '2001-01-01 10:00:00.123456789 +0000 UTC',
    binary: 'hi',
    own: '010',
    empty: '',
    merged: { a: 'b' },
  })
})

t.test('a carriage return alone ends a line', async (t) => {
  t.strictSame(parseYaml('a:\r  b: x\r  c: y\r'), { a: { b: 'x', c: 'y' } })
})

t.test('only the first document counts', async (t) => {
  t.strictSame(parseYaml('a: 1\n---\nb: 2\n'), { a: 1n })
  t.strictSame(parseYaml('---\r\na: x\r\n'), { a: 'x' })
})

t.test('lines of flow collections and quoted texts begin at any column', async (t) => {
  const text = `
services:
    a:
        command: [
"a",
  b
   c, [
d
]
] # of the list
        environment: {
A: "x
y",
# B: z
C: {D: e
# F: g
}}
        volumes:
        - {
type: bind
}
        - &x [f,\r
	g\r
]
        - *x
        labels: "
h"
`
  const { root, lines } = parse(text)
  t.strictSame(root, {
    services: {
      a: {
        command: ['a', 'b c', ['d']],
        environment: { A: 'x y', C: { D: 'e' } },
        volumes: [{ type: 'bind' }, ['f', 'g'], ['f', 'g']],
        labels: ' h',
      },
    },
  })
  const lineOf = new Map(lines.map(([path, line]) => [path.join('.'), line]))
  const places = { 'command.1': 6, 'command.2.0': 8, 'environment.C': 15, labels: 26 }
  for (const [path, line] of Object.entries(places)) {
    t.equal(lineOf.get(`services.a.${path}`), line, path)
  }
})

t.test('what the docker CLI refuses of flow collections is refused, with its line', async (t) => {
  const cases: [text: string, line: number][] = [
    ['a:\n  b: [x,\n---\ny]\n', 3],
    ['a:\n  b: [x,\n...\ny]\n', 3],
    ['a:\n  b: "x\n---\ny"\n', 2],
    ['a:\n  b: [\n- x\n]\n', 3],
    ['a:\n  b: [x\nc: d\n', 2],
    ['a:\n  b:\n  [x]\n', 3],
    ['a:\n  b:\n[x]\n', 3],
    ['a:\n  - b\n  [x]\n', 3],
    ['a:\n  b: [\nx\n]]\n', 4],
    ['a:\n  b: [\nx\n}\n', 4],
    ['a:\n  b: [\nx\n] y\n', 4],
    ['a:\n  b: [\nx\n]\ny\n', 5],
    ['a:\n  b: [a, |\nb]\n', 2],
    ['a:\n  b: [x#y]#c\n', 2],
    ['a:\n  b: [\n  x\n\t]\n', 4],
    ['a:\n  b: {c: x\n \ty}\n', 3],
  ]
  for (const [text, line] of cases) {
    t.throws(() => parseYaml(text), { message: /not valid YAML/, line }, JSON.stringify(text))
  }
  t.strictSame(parseYaml('a: b\n---\nc: {d: [x\n\t]}\n'), { a: 'b' }, 'not in other documents')
})

t.test('anchors and merge keys', async (t) => {
  const merged = parseYaml(`
base: &base {a: "1", b: "2"}
more: &more {b: "3", c: "4"}
before: {<<: *base, b: own}
after: {b: own, <<: *base}
list: {<<: [*base, *more]}
nested: {<<: {<<: *base, d: "5"}}
quoted: {"<<": text}
`)
  t.strictSame(merged.before, { a: '1', b: 'own' })
  t.strictSame(merged.after, { a: '1', b: 'own' })
  t.strictSame(merged.list, { a: '1', b: '2', c: '4' }, 'the first of a list wins')
  t.strictSame(merged.nested, { a: '1', b: '2', d: '5' })
  t.strictSame(merged.quoted, { '<<': 'text' })
})

t.test('keys that JavaScript objects have by themselves are ordinary keys', async (t) => {
  t.strictSame(Object.keys(parseYaml('__proto__: {x: 1}\nconstructor: a\n')), [
    '__proto__',
    'constructor',
  ])
})

t.test('refused, each with its line or place', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['a: 1\na: 2\n', /mapping key "a" already defined at line 1/],
    ['x: &x {b: 1}\ny: {<<: *x, <<: *x}\n', /mapping key "<<" already defined/],
    ['a: {1: x}\n', /the key 1 must be a string; quote it/],
    ['{{ x }}: 1\n', /must be a string/],
    ['a: *none\n', /none/],
    ['a: &a [*a]\n', /contains its own alias/],
    ['a: {<<: text}\n', /needs a mapping/],
    ['a: .nan\n', /is not a number/],
    ['a: !!int text\n', /"text" is no !!int/],
    ['a: !!float .inf\n', /".inf" is no !!float/],
    ['a: !!bool yes\n', /"yes" is no !!bool/],
    ['a: !!null x\n', /"x" is no !!null/],
    ['a: !!timestamp x\n', /"x" is no !!timestamp/],
    ['a: !!binary "?"\n', /is no !!binary/],
    ['a: x\nb: "y\u0001"\n', /control characters are not allowed/],
    ['a: "x\n', /not valid YAML/],
    ['a: b: c\n', /not valid YAML: /],
    ['- a\n', /must be a mapping/],
    ['', /must be a mapping/],
  ]
  for (const [text, message] of cases) {
    t.throws(() => parseYaml(text), { message }, JSON.stringify(text))
  }
})

t.test('aliases that unfold without bound are refused', async (t) => {
  const levels = Array.from({ length: 20 }, (_, level) => {
    const items = level === 0 ? '[x, x]' : `[*l${level - 1}, *l${level - 1}, *l${level - 1}]`
    return `l${level}: &l${level} ${items}`
  })
  t.throws(() => parseYaml(levels.join('\n')), { message: /unfold to more than/ })
})
