import t from 'tap'
import type { Meta } from '../../src/api/meta.ts'
import type { Service } from '../../src/api/service.ts'
import { bindReferences } from '../../src/stack/convert/references.ts'
import { digestText } from '../../src/stack/plan/digest.ts'
import { effectOf } from '../../src/stack/plan/effect.ts'
import { planIndex } from '../../src/stack/plan/index-of.ts'
import { describeOperation, type StackOperation } from '../../src/stack/plan/operation.ts'
import { type ExistingObjects, type PlanStackInput, planStack } from '../../src/stack/plan/plan.ts'
import { formatReview, reviewPlan } from '../../src/stack/plan/review.ts'
import { rollbackOperations } from '../../src/stack/plan/rollback.ts'
import { convert } from '../support/stack/memory-stack.ts'

const FILE = `
services:
  web: {image: nginx, secrets: [s], configs: [c], ports: ["80:80"], networks: [default, ext]}
  job: {image: alpine, deploy: {mode: replicated-job}}
networks: {ext: {external: true}}
secrets: {s: {file: s}}
configs: {c: {file: c}}
`
const FILES = { files: { s: 'secret', c: 'config' } }

const meta = (ID: string, index: number): Meta => ({
  ID,
  Version: { Index: index },
  CreatedAt: '',
  UpdatedAt: '',
})

const NOTHING: ExistingObjects = { networks: [], secrets: [], configs: [], services: [] }
const EXTERNAL = { Id: 'net-ext', Name: 'ext', Scope: 'swarm' }

/** What a cluster has after `text` was deployed to it: ids in place of names, a digest in place of a tag. */
const deployed = async (text: string): Promise<ExistingObjects> => {
  const stack = await convert(text, FILES)
  const networks = stack.networks.map((body) => ({
    Id: `net-${body.Name}`,
    ...body,
    Scope: 'swarm',
  }))
  const ids = new Map([...networks, EXTERNAL].map(({ Name, Id }) => [Name, Id]))
  return {
    networks: [...networks, EXTERNAL],
    secrets: stack.secrets.map(({ Data = '', ...Spec }, index) => ({
      ...meta(`s${index}`, 5),
      Spec,
      Swarmctl: { Digest: digestText(Data).slice('sha256:'.length) },
    })),
    configs: stack.configs.map((Spec, index) => ({ ...meta(`c${index}`, 6), Spec })),
    services: stack.services.map((spec, index) => ({
      ...meta(`svc${index}`, 7),
      Spec: {
        ...spec,
        TaskTemplate: {
          ...spec.TaskTemplate,
          ForceUpdate: 4,
          Networks: (spec.TaskTemplate.Networks ?? []).map((one) => ({
            ...one,
            Target: ids.get(one.Target) ?? one.Target,
          })),
          ContainerSpec: {
            ...spec.TaskTemplate.ContainerSpec,
            Image: `${spec.TaskTemplate.ContainerSpec?.Image}@sha256:${'0'.repeat(64)}`,
          },
        },
      },
    })),
  }
}

const plan = async (
  text: string,
  existing: ExistingObjects,
  options: Partial<PlanStackInput> = {},
) => planStack({ namespace: 'demo', desired: await convert(text, FILES), existing, ...options })

/** `update-service demo_web: EndpointSpec.Ports`. */
const brief = (operation: StackOperation): string => {
  const paths = 'fields' in operation ? operation.fields.map(({ path }) => path).join(', ') : ''
  return `${operation.kind} ${operation.name}${paths === '' ? '' : `: ${paths}`}`
}

t.test('a first deployment creates everything in the order of use', async (t) => {
  const { operations, notes } = await plan(FILE, { ...NOTHING, networks: [EXTERNAL] })
  t.strictSame(operations.map(brief), [
    'create-network demo_default',
    'create-secret demo_s',
    'create-config demo_c',
    'create-service demo_job',
    'create-service demo_web',
  ])
  t.strictSame(operations.map(describeOperation).slice(0, 2), [
    'Creating network demo_default',
    'Creating secret demo_s',
  ])
  t.strictSame(notes, [])
})

t.test('the same again changes nothing', async (t) => {
  const { operations } = await plan(FILE, await deployed(FILE), { prune: true })
  t.strictSame(operations.map(brief), ['update-service demo_job', 'update-service demo_web'])
  const web = operations.at(-1)
  t.match(web, { kind: 'update-service', id: 'svc1', version: 7, resolveImage: true })
  t.match(web, { body: { TaskTemplate: { ForceUpdate: 4 } } })
  t.equal(web && describeOperation(web), 'Updating service demo_web (id: svc1)')
})

t.test('a digest is kept or asked for', async (t) => {
  const existing = await deployed('services: {a: {image: nginx}}')
  const cases = [
    ['nginx', 'always', 'nginx:latest', true],
    ['nginx', 'changed', `nginx:latest@sha256:${'0'.repeat(64)}`, false],
    ['nginx:2', 'changed', 'nginx:2', true],
    ['nginx', 'never', `nginx:latest@sha256:${'0'.repeat(64)}`, false],
    ['nginx:2', 'never', 'nginx:2', false],
  ] as const
  for (const [image, resolveImage, sent, asked] of cases) {
    const { operations } = await plan(`services: {a: {image: "${image}"}}`, existing, {
      resolveImage,
    })
    t.match(
      operations,
      [{ body: { TaskTemplate: { ContainerSpec: { Image: sent } } }, resolveImage: asked }],
      `${image} ${resolveImage}`,
    )
  }
})

t.test('platforms that a registry told are no change, those of a file are', async (t) => {
  const existing = await deployed('services: {a: {image: nginx}}')
  const [service] = existing.services
  const Platforms = [{ OS: 'linux', Architecture: 'amd64' }]
  service!.Spec.TaskTemplate.Placement = { Platforms }
  for (const resolveImage of ['always', 'changed', 'never'] as const) {
    const { operations } = await plan('services: {a: {image: nginx}}', existing, { resolveImage })
    t.strictSame(operations.map(brief), ['update-service demo_a'], resolveImage)
    const kept = resolveImage === 'always' ? {} : { Platforms }
    t.match(operations, [{ body: { TaskTemplate: { Placement: kept } } }], resolveImage)
    const other = await plan('services: {a: {image: "nginx:2"}}', existing, { resolveImage })
    t.strictSame(
      other.operations.map(brief),
      ['update-service demo_a: Labels.com.docker.stack.image, TaskTemplate.ContainerSpec.Image'],
      resolveImage,
    )
    t.match(other.operations, [{ body: { TaskTemplate: { Placement: { Platforms: undefined } } } }])
  }
  const named = await plan('services: {a: {image: nginx, platform: linux/arm64}}', existing)
  t.strictSame(named.operations.map(brief), [
    'update-service demo_a: TaskTemplate.Placement.Platforms',
  ])
})

t.test('changes are named', async (t) => {
  const existing = await deployed(FILE)
  const changed = FILE.replace('80:80', '81:80').replace(
    'image: alpine',
    'image: alpine:2, hostname: h',
  )
  const { operations } = await plan(changed, existing)
  t.strictSame(operations.map(brief), [
    'update-service demo_job: Labels.com.docker.stack.image, TaskTemplate.ContainerSpec.Hostname, TaskTemplate.ContainerSpec.Image',
    'update-service demo_web: EndpointSpec.Ports.80:80/tcp, EndpointSpec.Ports.81:80/tcp',
  ])
})

t.test('what the orchestrator replaces tasks for is a change', async (t) => {
  const text = (keys: string) => `services: {a: {image: nginx, ${keys}}}`
  const given = text('environment: [A, B=1], volumes: [xx:/x, yy:/y], ports: ["1:1", "2:2"]')
  const existing = await deployed(`${given}\nvolumes: {xx: {}, yy: {}}`)
  const container = (service: ExistingObjects['services'][number] | undefined) =>
    service!.Spec.TaskTemplate.ContainerSpec!
  const before = existing.services[0]
  /** The fields that differ when what is there is as `change` makes it. */
  const fields = async (change: (spec: Service['Spec']) => void) => {
    const one = structuredClone(before)!
    change(one.Spec)
    const now = await plan(`${given}\nvolumes: {xx: {}, yy: {}}`, { ...existing, services: [one] })
    return now.operations.filter(({ kind }) => kind === 'update-service').map(brief)
  }
  const inContainer = (key: 'Env' | 'Mounts', change: (list: unknown[]) => unknown[]) =>
    fields((spec) => {
      const target = container({ ...before!, Spec: spec })
      target[key] = change(target[key] ?? []) as never
    })
  const said = (path: string) => [`update-service demo_a: TaskTemplate.ContainerSpec.${path}`]
  t.strictSame(await fields(() => {}), ['update-service demo_a'])
  t.strictSame(await inContainer('Env', (env) => env.toReversed()), said('Env'))
  t.strictSame(await inContainer('Env', () => ['A=', 'B=1']), said('Env.A'))
  t.strictSame(await inContainer('Mounts', (mounts) => mounts.toReversed()), said('Mounts'))
  t.strictSame(
    await fields((spec) => {
      container({ ...before!, Spec: spec }).Init = false
    }),
    said('Init'),
  )
  t.strictSame(
    await fields((spec) => {
      spec.EndpointSpec!.Ports!.reverse()
    }),
    ['update-service demo_a'],
    'the order of ports makes no difference',
  )
})

t.test(
  'prune removes services that the file no longer has, and only those of the stack',
  async (t) => {
    const existing = await deployed(FILE)
    const foreign = { ...meta('x', 1), Spec: { Name: 'x', Labels: {}, TaskTemplate: {} } }
    const services = [...existing.services, foreign]
    const less = 'services: {web: {image: nginx}}'
    const pruned = await plan(less, { ...existing, services }, { prune: true })
    t.equal(pruned.operations.map(brief)[0], 'remove-service demo_job')
    t.equal(pruned.operations.filter(({ kind }) => kind === 'remove-service').length, 1)
    const kept = await plan(less, { ...existing, services })
    t.notOk(kept.operations.some(({ kind }) => kind === 'remove-service'))
  },
)

t.test('what an existing object can’t become', async (t) => {
  const existing = await deployed(FILE)
  const other = { files: { s: 'secret', c: 'changed' } }
  const desired = await convert(FILE, other)
  t.throws(() => planStack({ namespace: 'demo', desired, existing }), {
    code: 'FAILED_PRECONDITION',
    message: /^config demo_c: its content changed/,
  })
  const secret = await convert(FILE, { files: { s: 'changed', c: 'config' } })
  t.throws(() => planStack({ namespace: 'demo', desired: secret, existing }), {
    code: 'FAILED_PRECONDITION',
    message: /^secret demo_s: its content changed, .* another name/,
  })
  const silent = existing.secrets.map(({ Swarmctl: _, ...rest }) => rest)
  const unknown = planStack({
    namespace: 'demo',
    desired: secret,
    existing: { ...existing, secrets: silent },
  })
  t.match(unknown.operations[0], { kind: 'update-secret' }, 'the manager decides')
  const labelled = await plan(FILE.replace('{file: c}', '{file: c, labels: {a: b}}'), existing)
  t.ok(labelled.operations.some(({ kind }) => kind === 'update-config'))
  const network = await plan(
    `${FILE.replace('ext: {', 'default: {attachable: true}, ext: {')}`,
    existing,
  )
  t.match(network.notes, [/^network demo_default exists and stays as it is, .* attachable/])
})

t.test('externals must exist', async (t) => {
  await t.rejects(plan(FILE, NOTHING), { code: 'NOT_FOUND', message: /network "ext" is declared/ })
  const local = [{ ...EXTERNAL, Scope: 'local' }]
  await t.rejects(plan(FILE, { ...NOTHING, networks: local }), {
    code: 'FAILED_PRECONDITION',
    message: /not in the right scope: "local" instead of "swarm"/,
  })
  const secret = 'services: {a: {image: i, secrets: [s]}}\nsecrets: {s: {external: true}}'
  await t.rejects(plan(secret, NOTHING), { code: 'NOT_FOUND', message: /secret "s" is declared/ })
})

t.test('references get the cluster’s ids', async (t) => {
  const file = `${FILE.replace('configs: [c]', 'configs: [c], credential_spec: {config: c}')}`
  const { services } = await convert(file, FILES)
  const web = services.find(({ Name }) => Name === 'demo_web')
  if (web === undefined) throw new Error('no web')
  const ids = { secrets: new Map([['demo_s', 'id-s']]), configs: new Map([['demo_c', 'id-c']]) }
  const bound = bindReferences(web, ids).TaskTemplate.ContainerSpec
  t.match(bound?.Secrets, [{ SecretID: 'id-s', SecretName: 'demo_s' }])
  t.match(bound?.Configs, [{ ConfigID: 'id-c' }, { ConfigID: 'id-c', Runtime: {} }])
  t.match(bound?.Privileges, { CredentialSpec: { Config: 'id-c' } })
  t.throws(() => bindReferences(web, { ...ids, secrets: new Map() }), {
    code: 'NOT_FOUND',
    message: 'service demo_web: secret not found: demo_s',
  })
})

const ORDERED = `
services:
  a: {image: i, depends_on: {c: {condition: service_healthy}}}
  b: {image: i, depends_on: [a]}
  c: {image: i, depends_on: [d, x]}
  d: {image: i, depends_on: [b]}
`

t.test('services come after those that they depend on, circles or not', async (t) => {
  const { operations } = await plan(ORDERED, NOTHING)
  t.strictSame(
    operations.map(({ name }) => name),
    ['demo_default', 'demo_b', 'demo_d', 'demo_c', 'demo_a'],
  )
})

t.test('the index changes with what the stack is made of, and with nothing else', async (t) => {
  const existing = await deployed(FILE)
  const desired = await convert(FILE, FILES)
  const index = (change: Partial<ExistingObjects>) =>
    planIndex({ namespace: 'demo', desired, existing: { ...existing, ...change } })
  const before = index({})
  t.ok(Number.isSafeInteger(before))
  const foreign = { ...meta('x', 1), Spec: { Name: 'x', Labels: {}, TaskTemplate: {} } }
  t.equal(index({ services: [foreign, ...existing.services].reverse() }), before)
  const [first, ...rest] = existing.services
  t.not(index({ services: rest }), before, 'removed')
  t.not(index({ services: [{ ...first!, Version: { Index: 8 } }, ...rest] }), before, 'changed')
  const own = { Swarmctl: { SpecVersion: 7 } }
  t.equal(index({ services: [{ ...first!, ...own, Version: { Index: 9 } }, ...rest] }), before)
  t.not(index({ networks: existing.networks.slice(1) }), before)
  t.not(index({ secrets: [] }), before)
})

const KEY = Buffer.from('of this plan')

t.test('a review says what changes, with hashes for data', async (t) => {
  const existing = await deployed(FILE)
  const changed = `${FILE.replace('80:80', '81:80')
    .replace('image: alpine', 'image: alpine:2, environment: {A: "1"}')
    .replace('configs: {c:', 'configs: {d: {file: c}, c:')}`
  const planned = await plan(changed, existing)
  const forecast = {
    Service: 'demo_web',
    Wanted: 3,
    Replaced: 3,
    Placed: [{ NodeID: 'n1', Hostname: 'h1', Tasks: 1 }],
    Unplaced: [{ Tasks: 2, Reason: 'no suitable node (2 nodes: is down)' }],
  }
  const review = reviewPlan('demo', 42, planned, [forecast], KEY)
  t.match(review, { Stack: 'demo', Index: 42, Changed: true })
  t.equal(
    formatReview(review),
    `Stack demo
+ config demo_d
    Data: sha256:b79606fb3afe
~ service demo_job  (runs again)
    Labels.com.docker.stack.image: alpine → alpine:2
    TaskTemplate.ContainerSpec.Env.A: (none) → 1
    TaskTemplate.ContainerSpec.Image: alpine:latest@sha256:${'0'.repeat(64)} → alpine:2
~ service demo_web  (tasks are replaced)
    EndpointSpec.Ports.80:80/tcp: {"Protocol":"tcp","TargetPort":80,"PublishedPort":80,"PublishMode":"ingress"} → (none)
    EndpointSpec.Ports.81:80/tcp: (none) → {"Protocol":"tcp","TargetPort":80,"PublishedPort":81,"PublishMode":"ingress"}

Placement
  demo_web: h1 ×1
    ! 2 of 3 tasks can't be placed: no suitable node (2 nodes: is down)

1 to create, 2 to change (2 with new tasks), 0 to remove, 1 to run again.
Deploy exactly this with: swarmctl stack deploy --plan-index 42 … demo
`,
  )
  const same = reviewPlan('demo', 42, await plan(FILE, existing), [], KEY)
  t.equal(same.Changed, true, 'a job does its work with each deployment')
  t.match(same.Objects[0], { Name: 'demo_job', Action: 'none', Fields: [], RunsAgain: true })
  t.match(formatReview(same), /^= service demo_job {2}\(runs again\)$/m)
  t.match(formatReview(same), /^0 to create, 0 to change, 0 to remove, 1 to run again\.$/m)
  const without = FILE.replace(/^ {2}job.*\n/m, '')
  const still = reviewPlan('demo', 42, await plan(without, await deployed(without)), [], KEY)
  t.equal(still.Changed, false)
  t.match(formatReview(still), /\n\nNo changes\.\n$/)
})

t.test('a printed plan lets nobody guess its secrets', async (t) => {
  const text = `${FILE.replace('secrets: {s: {file: s}}', 'secrets: {s: {file: s}, same: {file: s}, other: {file: c}}')}`
  const planned = await plan(text, { ...NOTHING, networks: [EXTERNAL] })
  const shown = (key: string) => {
    const review = reviewPlan('demo', 42, planned, [], Buffer.from(key))
    const secrets = review.Objects.filter(({ Kind }) => Kind === 'secret')
    const data = new Map(secrets.map(({ Name, Fields }) => [Name, `${Fields[0]?.After}`]))
    return { data, text: `${JSON.stringify(review)}${formatReview(review)}` }
  }
  const one = shown('a')
  t.match(one.data.get('demo_s'), /^hmac:[0-9a-f]{12}$/)
  t.equal(one.data.get('demo_same'), one.data.get('demo_s'), 'equal ones can be told')
  t.not(one.data.get('demo_other'), one.data.get('demo_s'), 'and different ones')
  t.not(shown('b').data.get('demo_s'), one.data.get('demo_s'), 'but not across plans')
  const plain = digestText(Buffer.from('secret').toString('base64')).slice('sha256:'.length)
  t.notMatch(one.text, plain.slice(0, 8))
})

t.test('what a request without an answer did is seen from what is there', async (t) => {
  const desired = await convert(FILE, FILES)
  const existing = { ...NOTHING, networks: [EXTERNAL] }
  const first: PlanStackInput = { namespace: 'demo', desired, existing }
  const { operations } = planStack(first)
  const effects = (input: PlanStackInput, sent: StackOperation[], now: ExistingObjects) =>
    sent.map((operation) => effectOf(operation, input, now))
  const done = await deployed(FILE)
  t.strictSame(effects(first, operations, done), ['net-demo_default', 's0', 'c0', 'svc0', 'svc1'])
  t.strictSame(effects(first, operations, existing).filter(Boolean), [])
  const others = await deployed(FILE.replace('image: nginx', 'image: other'))
  t.equal(effects(first, operations, others).at(-1), undefined, 'another’s of the same name')
  const foreign = done.networks.map((network) => ({ ...network, Labels: {} }))
  t.equal(effects(first, operations, { ...done, networks: foreign })[0], undefined)

  const changed = FILE.replace('image: nginx', 'image: nginx:2').replace(/^ {2}job.*\n/m, '')
  const next = { ...first, desired: await convert(changed, FILES), existing: done, prune: true }
  const sent = planStack(next).operations
  t.strictSame(
    sent.map(brief).map((text) => text.split(':')[0]),
    ['remove-service demo_job', 'update-service demo_web'],
  )
  t.strictSame(effects(next, sent, done), [undefined, undefined])
  const now = await deployed(changed)
  const services = now.services.map((one) => ({ ...one, ID: 'svc1', Version: { Index: 8 } }))
  t.strictSame(effects(next, sent, { ...now, services }), ['svc0', 'svc1'])
  t.strictSame(
    effects(next, sent, { ...done, services: [{ ...done.services[1]!, Version: { Index: 8 } }] }),
    ['svc0', undefined],
    'another’s change',
  )
})

t.test('a deployment is taken back in the opposite order, services first', async (t) => {
  const existing = await deployed(FILE)
  const changed = `${FILE.replace('80:80', '81:80')}`.replace(
    'configs: {c:',
    'configs: {d: {file: c}, c:',
  )
  const { operations } = await plan(`${changed}`.replace('job:', 'other:'), existing, {
    prune: true,
  })
  const performed = operations.map((operation) => ({
    operation,
    id: 'id' in operation ? operation.id : `new-${operation.name}`,
  }))
  const back = rollbackOperations(performed, existing)
  t.strictSame(
    back.map(({ kind, name }) => `${kind} ${name}`),
    [
      'update-service demo_web',
      'remove-service demo_other',
      'create-service demo_job',
      'remove-config demo_d',
    ],
  )
  t.match(back[0], { body: existing.services[1]?.Spec })
  t.match(back[2], { body: existing.services[0]?.Spec })
})
