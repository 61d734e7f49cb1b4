// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the templates under test
import t from 'tap'
import { formatConfig } from '../../src/stack/format.ts'
import { substitute } from '../../src/stack/interpolate/template.ts'
import { convertOne, load } from '../support/stack/memory-stack.ts'

const env: Record<string, string | undefined> = { A: 'a', EMPTY: '', N: '3' }
const lookup = (name: string): string | undefined => env[name]

t.test('forms of variables', async (t) => {
  const cases: [template: string, text: string][] = [
    ['$A', 'a'],
    ['${A}', 'a'],
    ['x${A}y$A.', 'xaya.'],
    ['$NONE|', '|'],
    ['${NONE:-d}', 'd'],
    ['${NONE-d}', 'd'],
    ['${EMPTY:-d}', 'd'],
    ['${EMPTY-d}', ''],
    ['${A:-d}', 'a'],
    ['${NONE:-a:b c}', 'a:b c'],
    ['${NONE:-}', ''],
    ['${A:?needed}', 'a'],
    ['${EMPTY?needed}', ''],
    ['${A?must-be-set}', 'a'],
    ['$$A', '$A'],
    ['$${A}', '${A}'],
    ['$$$A', '$a'],
    ['100%', '100%'],
    ['${A:+alt}', 'alt'],
    ['${EMPTY:+alt}', ''],
    ['${EMPTY+alt}', 'alt'],
    ['${NONE+alt}', ''],
    ['${NONE:-${A:-b}}', '${A:-b}', 'the first } ends it'],
  ].map(([template, text]) => [template ?? '', text ?? ''])
  for (const [template, text] of cases) {
    t.strictSame(substitute(template, lookup), { text, forgiven: [] }, template)
  }
})

t.test('what is wrong before a variable that is there', async (t) => {
  const cases: [template: string, text: string, forgiven: RegExp[]][] = [
    ['$2y$A', '2ya', [/invalid interpolation format/]],
    ['$? $$ $A', '? $ a', [/invalid interpolation format/]],
    ['$1$(b)${NONE}', '1(b)', [/invalid/, /invalid/]],
    ['${NONE:?say it} ${A}', ' a', [/required variable NONE is missing a value: say it/]],
    ['${NONE?} ${A:?}', ' a', [/required variable NONE is missing a value$/]],
  ]
  for (const [template, text, forgiven] of cases) {
    const got = substitute(template, lookup)
    t.equal(got.text, text, template)
    t.match(
      got.forgiven.map(({ message }) => message),
      forgiven,
      template,
    )
  }
})

t.test('refused forms', async (t) => {
  const cases: [template: string, message: RegExp][] = [
    ['${', /invalid interpolation format: "\$\{"/],
    ['$(cmd)', /invalid/],
    ['${a.b}', /invalid/],
    ['$2y$05', /invalid/],
    ['ends in $', /invalid/],
    ['$A and $', /invalid/],
    ['${NONE:?say it} $$', /required variable NONE is missing a value: say it/],
    ['${NONE:?say it}', /required variable NONE is missing a value: say it/],
    ['${EMPTY:?}', /required variable EMPTY is missing a value$/],
    ['${NONE?must-be-set}', /NONE is missing a value: must-be-set/],
  ]
  for (const [template, message] of cases) {
    t.throws(() => substitute(template, lookup), { message }, template)
  }
})

t.test('a replaced value gets the type of its place', async (t) => {
  const service = await convertOne(
    'deploy: {replicas: "${N}", update_config: {max_failure_ratio: "${R}"}}, tty: "${YES}", ports: [{target: "$N", published: 80}]',
    '',
    { env: { N: '3', R: '0.5', YES: 'On' } },
  )
  t.strictSame(service.Mode, { Replicated: { Replicas: 3 } })
  t.equal(service.UpdateConfig?.MaxFailureRatio, 0.5)
  t.equal(service.TaskTemplate.ContainerSpec?.TTY, true)
  t.equal(service.EndpointSpec?.Ports?.[0]?.TargetPort, 3)
})

t.test('errors name file and place', async (t) => {
  const cases: [keys: string, message: RegExp][] = [
    ['deploy: {replicas: "${N}"}', /^stack\.yml:1: services\.a\.deploy\.replicas: .*integer: x/],
    ['tty: "${N}"', /^stack\.yml:1: services\.a\.tty: .*boolean: x/],
    ['command: ["${"]', /^stack\.yml:1: services\.a\.command\.0: invalid interpolation format/],
  ]
  for (const [keys, message] of cases) {
    await t.rejects(convertOne(keys, '', { env: { N: 'x' } }), { message }, keys)
  }
})

t.test('a variable without braces that takes in the text after it is warned of', async (t) => {
  const warningsOf = async (text: string) => {
    const source = `services: {a: {image: i, hostname: ${JSON.stringify(text)}}}`
    const { warnings } = await load(source, { env: { A: 'a', N: '3' } })
    return warnings.flatMap((warning) => (warning.kind === 'note' ? [warning.text] : []))
  }
  for (const text of ['$A-db', 'x$A-${N:-1}', '$$$A-b', '$A:-b', '$A?']) {
    t.strictSame(
      await warningsOf(text),
      [
        'services.a.hostname: what follows $A is its default or its message, as in docker stack deploy; write ${A} where it is text',
      ],
      text,
    )
  }
  for (const text of ['${A}-db', '$A.db-x', '$$A-db', '$A:5', '${A:-b}-c']) {
    t.strictSame(await warningsOf(text), [], text)
  }
})

t.test('keys are not interpolated', async (t) => {
  await t.rejects(load('services: {"${A}": {image: i}}'), { message: /\$\{A\} is not allowed/ })
})

t.test('variables that are left as they stand can be filled in later', async (t) => {
  const files = {
    'over.yml': 'services: {a: {labels: {over: "${B}"}}}',
    'inner/compose.yml': 'services: {inner: {image: "${A:-x}"}}',
    'base.yml': 'services: {base: {image: "base:${A}"}}',
  }
  const text =
    'include: ["${DIR}/compose.yml"]\nservices: {a: {extends: {file: base.yml, service: base}, command: ["$$x", "$A"], labels: {l: "${B?must}"}}}'
  const names = ['stack.yml', 'over.yml']
  const env = { DIR: 'inner' }
  const left = await load(text, { files, names, env, skipInterpolation: true })
  const later = formatConfig(left.config, { interpolated: false })
  t.match(later, /image: base:\$\{A\}\n[\s\S]*over: \$\{B\}\n/)
  t.match(later, /image: \$\{A:-x\}\n/)
  const filled = { ...env, A: '1', B: '2' }
  const { config } = await load(text, { files, names, env: filled })
  t.strictSame((await load(later, { env: filled })).config.services, config.services)
  t.same(config.services.a?.command, ['$x', '1'])
  await t.rejects(
    load('services: {a: {image: i, ports: ["${P}:80"]}}', { skipInterpolation: true }),
    {
      message: /stack.yml:1: services.a.ports.0 .*\$\{P\} is no port number/,
    },
  )
})
