/** What the Compose Specification has beside single files: variables of files, profiles, extends, include, tags. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the templates under test
import t from 'tap'
import { loadStack } from '../../src/stack/load.ts'
import { parseDotEnv } from '../../src/stack/parse/dotenv.ts'
import { formatWarning } from '../../src/stack/warnings.ts'
import { load, memoryFiles } from '../support/stack/memory-stack.ts'

t.test('.env files', async (t) => {
  const text = `
# comment
PLAIN=a b  # comment
export EXPORTED=1
EMPTY=
HASH=a#b
SINGLE='$PLAIN "x" \\n'
DOUBLE="$PLAIN\\t\\"x\\" \\$y"
LINES="one
two" # after
FROM_OUTER=\${OUTER}
DEFAULT=\${NONE:-d}
BARE
  INDENTED = spaced
COLON: "a:b" # c
ESCAPED='Let\\'s go'
not a line
BROKEN=\${
`
  const { variables, ignoredLines } = parseDotEnv(text, { OUTER: 'outer', PLAIN: undefined })
  t.strictSame(variables, {
    PLAIN: 'a b',
    EXPORTED: '1',
    EMPTY: '',
    HASH: 'a#b',
    SINGLE: '$PLAIN "x" \\n',
    DOUBLE: '\t"x" $y',
    LINES: 'one\ntwo',
    FROM_OUTER: 'outer',
    DEFAULT: 'd',
    INDENTED: 'spaced',
    COLON: 'a:b',
    ESCAPED: "Let's go",
  })
  t.strictSame(ignoredLines, [17, 18])
})

t.test('where variables come from', async (t) => {
  const text = 'services: {a: {image: "i:${V:-none}", environment: [V]}}'
  const files = { '.env': 'V=dotenv\nbad line', 'other.env': 'V=other', 'last.env': 'V=last' }
  const options = { files: ['stack.yml'], workdir: '/srv', env: {} }
  const io = memoryFiles(
    Object.fromEntries(
      Object.entries({ ...files, 'stack.yml': text }).map(([name, file]) => [`/srv/${name}`, file]),
    ),
  )
  const imageOf = async (more: Partial<Parameters<typeof loadStack>[0]>) =>
    (await loadStack({ ...options, io, ...more })).config.services.a?.image
  t.equal(await imageOf({}), 'i:dotenv')
  t.equal(await imageOf({ env: { V: 'shell' } }), 'i:shell', 'the environment wins')
  t.equal(
    await imageOf({ envFiles: ['other.env', 'last.env'] }),
    'i:last',
    'in place of .env, later over earlier',
  )
  t.equal(
    await imageOf({ io: memoryFiles({ '/srv/stack.yml': text }) }),
    'i:none',
    'it need not be there',
  )
  const { config, warnings } = await loadStack({ ...options, io })
  t.strictSame(config.services.a?.environment, { V: 'dotenv' })
  t.strictSame(warnings.map(formatWarning), ['.env:2: is ignored: it is not KEY=value'])
  await t.rejects(imageOf({ envFiles: ['gone.env'] }), {
    message: '--env-file: gone.env: cannot be read: no such file: /srv/gone.env',
  })
  const named = await load('name: shop\nservices: {a: {image: "i:${COMPOSE_PROJECT_NAME}"}}')
  t.match(named.config, { name: 'shop', services: { a: { image: 'i:shop' } } })
})

t.test('profiles', async (t) => {
  const text =
    'services: {web: {image: i}, debug: {image: i, profiles: [debug, all]}, db: {image: i, profiles: [db]}, ' +
    'tool: {image: i, profiles: [tool], depends_on: {db: {condition: service_started, required: false}}}}'
  const names = async (profiles: string[], env = {}) => {
    const io = memoryFiles({ '/w/s.yml': text })
    const { config } = await loadStack({ files: ['s.yml'], workdir: '/w', env, io, profiles })
    return Object.keys(config.services)
  }
  t.strictSame(await names([]), ['web'])
  t.strictSame(await names(['debug']), ['web', 'debug'])
  t.strictSame(await names(['db'], { COMPOSE_PROFILES: 'all,x' }), ['web', 'debug', 'db'])
  t.strictSame(await names(['*']), ['web', 'debug', 'db', 'tool'])
  t.strictSame(await names(['tool']), ['web', 'tool'], 'what is not required may be inactive')
})

t.test('extends: over another service, with the folder of its file', async (t) => {
  const files = {
    'lib/base.yml':
      'services: {base: {image: base, env_file: base.env, volumes: ["./d:/d"], ports: ["80:80", "81:81"], security_opt: [a]}, other: {image: "${NOT:?set}"}}',
    'lib/base.env': 'FROM=base',
  }
  const text =
    'services: {a: {extends: {file: lib/base.yml, service: base}, ports: ["80:8080"], security_opt: [b], environment: {OWN: "1"}}, b: {extends: a, image: b}}'
  const { config } = await load(text, { files })
  t.match(config.services.a, {
    image: 'base',
    environment: { FROM: 'base', OWN: '1' },
    security_opt: ['a', 'b'],
    volumes: [{ source: '/srv/app/lib/d' }],
  })
  t.strictSame(
    config.services.a?.ports?.map(({ published, target }) => [published, target]),
    [
      [80, 8080],
      [81, 81],
    ],
  )
  t.equal(config.services.b?.image, 'b')
  t.equal(config.services.b?.extends, undefined)
  t.strictSame(config.locations.of(['services', 'a', 'volumes']), { file: 'lib/base.yml', line: 1 })
  t.strictSame(config.locations.of(['services', 'a', 'ports']), { file: 'stack.yml', line: 1 })
})

t.test('include: a project of its own', async (t) => {
  const files = {
    'part/compose.yml':
      'include: [deeper/compose.yml]\nservices: {db: {image: "db:${V}", volumes: ["./data:/data"]}}\nnetworks: {back: {}}',
    'part/.env': 'V=part',
    'part/deeper/compose.yml': 'services: {deep: {image: "deep:${V}"}}',
    'part/deeper/.env': 'V=deeper',
  }
  const text =
    'include: [{path: part/compose.yml}]\nservices: {a: {image: "a:${V:-none}"}}\nnetworks: {back: {}}'
  const { config } = await load(text, { files })
  t.strictSame(
    Object.entries(config.services).map(([name, { image }]) => `${name} ${image}`),
    // The outer project's variables win over those of an included one.
    ['deep deep:part', 'db db:part', 'a a:none'],
  )
  t.equal(config.services.db?.volumes?.[0]?.source, '/srv/app/part/data')
  t.strictSame(Object.keys(config.networks), ['back'], 'the same in both is one')
})

t.test('what is to be noted of an include is noted once', async (t) => {
  const files = { 'part.yml': 'services: {db: {image: db}}', '${B}': '' }
  const { warnings } = await load('include: [{path: part.yml, env_file: "${A:-${B}}"}]', { files })
  t.match(warnings, [{ kind: 'note', text: /^include\.0\.env_file: .*a variable in a default/ }])
  t.equal(warnings.length, 1)
})

t.test('keys that are ignored in a file that another one names are told, too', async (t) => {
  const files = {
    'part/compose.yml':
      'services: {db: {image: db, network_mode: host, networks: {n: {priority: 1}}}}\nnetworks: {n: {}}',
    'base.yml': 'services: {base: {image: base, links: [x]}, other: {image: o, mac_address: "a"}}',
  }
  const { warnings } = await load(
    'include: [part/compose.yml]\nservices: {a: {extends: {file: base.yml, service: base}}}',
    { files },
  )
  t.strictSame(warnings, [
    { kind: 'unsupported', keys: ['links', 'network_mode'] },
    {
      kind: 'note',
      text: 'services.db.networks.n.priority is ignored: an overlay decides it by itself',
    },
  ])
})

t.test('!reset and !override', async (t) => {
  const base =
    'services: {a: {image: i, ports: ["80:80"], environment: {A: "1", B: "2"}, command: [x], deploy: {replicas: 3}}, b: {image: i}}'
  const over = `
services:
  a:
    ports: !override ["81:81"]
    environment: {A: !reset null}
    command: !reset
    deploy: !reset {}
  b: !reset null
`
  const { config } = await load(base, {
    files: { 'over.yml': over },
    names: ['stack.yml', 'over.yml'],
  })
  t.match(config.services.a, { environment: { B: '2' }, ports: [{ published: 81 }] })
  t.equal(config.services.a?.ports?.length, 1)
  t.notOk('A' in (config.services.a?.environment ?? {}))
  t.equal(config.services.a?.command, undefined)
  t.equal(config.services.a?.deploy, undefined)
  t.strictSame(Object.keys(config.services), ['a'])
})
