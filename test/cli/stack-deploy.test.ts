/** `stack plan` and `stack deploy` against the real API, with a stand-in for what runs tasks. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import type { Service } from '../../src/api/service.ts'
import type { Task, TaskStatus } from '../../src/api/task.ts'
import { runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'
import { sampleTask } from '../support/objects.ts'

/** What becomes of the tasks of an image: `bad` ones end, `stuck` ones find no node, jobs complete, the others run. */
const statusOf = (image: string, isJob: boolean): Partial<TaskStatus> => {
  if (/bad|@sha256/.test(image)) {
    const ContainerStatus = { ContainerID: 'c', PID: 0, ExitCode: 3 }
    return { State: 'failed', Message: 'started', Err: 'task: non-zero exit (3)', ContainerStatus }
  }
  if (/stuck/.test(image))
    return { State: 'pending', Message: 'pending', Err: 'no suitable node (x)' }
  return isJob
    ? { State: 'complete', Message: 'finished' }
    : { State: 'running', Message: 'started' }
}

/** One look of the stand-in at the store: every service has its tasks, a failed one gets a successor. */
class Tasks {
  readonly #node: ApiNode
  #made = 0
  /** Services' images in the order in which their first task was made. */
  readonly started: string[] = []

  constructor(node: ApiNode) {
    this.#node = node
  }

  async step(): Promise<void> {
    const { store } = this.#node.swarm
    await store.update((tx) => {
      for (const task of tx.list('task')) {
        const service = tx.get('service', task.ServiceID)
        const isOld = task.Swarmctl.SpecVersion !== service?.Swarmctl.SpecVersion
        if (service === undefined) tx.remove('task', task.ID)
        else if (isOld || task.Status.State === 'failed') {
          tx.put('task', { ...task, DesiredState: 'shutdown' })
        }
      }
      for (const service of tx.list('service')) {
        const job = service.Spec.Mode?.ReplicatedJob !== undefined
        const live = tx
          .tasksByService(service.ID)
          .some(({ DesiredState }) => DesiredState !== 'shutdown')
        if (!live) tx.put('task', this.#task(service, job))
      }
    })
  }

  #task(service: Service, isJob: boolean): Task {
    const image = service.Spec.TaskTemplate.ContainerSpec?.Image ?? ''
    const id = `task${String(++this.#made).padStart(21, '0')}`
    this.started.push(`${service.Spec.Name} ${image}`)
    const base = sampleTask(id, service.ID)
    return {
      ...base,
      CreatedAt: new Date(this.#made * 1000).toISOString(),
      NodeID: this.#node.swarm.state.nodeId,
      Spec: service.Spec.TaskTemplate,
      NetworksAttachments: (service.Spec.TaskTemplate.Networks ?? []).map(({ Target }) => ({
        Network: { ID: Target },
        Addresses: [],
      })) as never,
      DesiredState: isJob ? 'complete' : 'running',
      Status: {
        Timestamp: '2026-01-01T00:00:00Z',
        Message: '',
        ...statusOf(image, isJob),
      } as never,
      ...(service.JobStatus && { JobIteration: service.JobStatus.JobIteration }),
      Swarmctl: {
        ...base.Swarmctl,
        ServiceName: service.Spec.Name,
        SpecVersion: service.Swarmctl.SpecVersion,
      },
    }
  }
}

const start = async (t: Test) => {
  const node = await ApiNode.start()
  const tasks = new Tasks(node)
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-stack-'))
  t.teardown(async () => {
    await node.stop()
    rmSync(dir, { recursive: true })
  })
  let nowMs = 1_700_000_000_000
  let silentSleeps = 0
  /** From the next look on nobody leads, for so many looks. */
  const silence = (looks: number): void => {
    silentSleeps = looks
  }
  const controller = new AbortController()
  const hooks: { onSleep?: () => Promise<void> } = {}
  const run = (line: string) =>
    runCli(['-H', node.host, ...line.split(' ')], {
      signal: controller.signal,
      nowMs: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms * 10
        const { onSleep } = hooks
        delete hooks.onSleep
        await onSleep?.()
        controller.signal.throwIfAborted()
        await tasks.step()
        const isSilent = silentSleeps-- > 0
        node.swarm.leader = isSilent ? { kind: 'none', message: 'nobody leads' } : { kind: 'self' }
      },
    })
  const file = (text: string, name = 'stack.yml'): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const deploy = (path: string, flags = '') =>
    run(`stack deploy --resolve-image never -q ${flags}${flags && ' '}-c ${path} demo`)
  const spec = (name: string) => node.swarm.store.view().byName('service', name)?.Spec
  const imageOf = (name: string) => spec(name)?.TaskTemplate.ContainerSpec?.Image
  return { node, tasks, run, file, deploy, silence, spec, imageOf, hooks, controller }
}

const SHOP = `
services:
  web: {image: web:1, environment: {A: "1"}, secrets: [key], configs: [page]}
  db: {image: db:1}
secrets: {key: {environment: KEY}}
configs: {page: {content: hello}}
`

t.test('a plan shows what a deployment changes and where it would run', async (t) => {
  const { run, file, deploy } = await start(t)
  const shop = file(SHOP.replace('environment: KEY', 'file: ./stack.yml'))
  const first = await run(`stack plan -c ${shop} demo`)
  t.equal(first.code, 2)
  t.match(first.out, /^\+ network demo_default$/m)
  t.match(first.out, /^\+ secret demo_key\n {4}Data: hmac:[0-9a-f]{12}$/m)
  t.not((await run(`stack plan -c ${shop} demo`)).out, first.out, 'with a key of each plan')
  t.match(first.out, /^\+ service demo_web\n {4}TaskTemplate.ContainerSpec.Image: web:1$/m)
  t.match(first.out, /^ {2}demo_web: host-\d ×1$/m)
  t.match(first.out, /^5 to create, 0 to change, 0 to remove\.$/m)
  t.match(await deploy(shop), { code: 0 })

  const again = await run(`stack plan -c ${shop} demo`)
  t.match(again, { code: 0, out: /\nNo changes\.\n$/ })
  const next = file(
    SHOP.replace('environment: KEY', `file: ${shop}`)
      .replace('web:1', 'web:2')
      .replace('A: "1"', 'A: "2"')
      .replace(
        '{image: db:1}',
        '{image: db:1, deploy: {placement: {constraints: [node.labels.none==x]}}}',
      ),
    'next.yml',
  )
  const json = await run(`stack plan --format json -c ${next} demo`)
  t.equal(json.code, 2)
  t.match(JSON.parse(json.out), {
    Stack: 'demo',
    Changed: true,
    Objects: [
      { Kind: 'service', Name: 'demo_db', Action: 'update', ReplacesTasks: false },
      {
        Kind: 'service',
        Name: 'demo_web',
        Action: 'update',
        ReplacesTasks: true,
        Fields: [
          { Path: 'Labels.com.docker.stack.image', Before: 'web:1', After: 'web:2' },
          { Path: 'TaskTemplate.ContainerSpec.Env.A', Before: '1', After: '2' },
          { Path: 'TaskTemplate.ContainerSpec.Image', Before: 'web:1', After: 'web:2' },
        ],
      },
    ],
    Placement: [
      { Service: 'demo_db', Unplaced: [{ Tasks: 1, Reason: /constraint node\.labels\.none==x/ }] },
      { Service: 'demo_web', Wanted: 1, Replaced: 1, Placed: [{ Tasks: 1 }], Unplaced: [] },
    ],
  })
  const pruned = await run(
    `stack plan --prune -c ${file('services: {web: {image: web:1}}', 'less.yml')} demo`,
  )
  t.match(pruned.out, /^- service demo_db$/m)
})

t.test('a planned deployment is refused when the cluster moved on', async (t) => {
  const { run, file, deploy, imageOf } = await start(t)
  const one = file('name: demo\nservices: {web: {image: web:1}}')
  t.match(
    await run(`stack deploy --resolve-image never -q -c ${one}`),
    { code: 0 },
    'named by file',
  )
  const two = file('services: {web: {image: web:2}}', 'two.yml')
  const index = /--plan-index (\d+)/.exec((await run(`stack plan -c ${two} demo`)).out)?.[1]
  t.match(await run('service update -d --env-add X=1 demo_web'), { code: 0 })
  t.match(await deploy(two, `--plan-index ${index}`), {
    code: 1,
    err: /^swarmctl: the cluster moved on since the plan: its index was \d+ and is \d+ now; look/,
  })
  t.equal(imageOf('demo_web'), 'web:1', 'nothing was sent')
  const fresh = /--plan-index (\d+)/.exec((await run(`stack plan -c ${two} demo`)).out)?.[1]
  await run('network create -d overlay other')
  t.match(
    await deploy(two, `--plan-index ${fresh}`),
    { code: 0 },
    'what is not the stack’s may change',
  )
  t.equal(imageOf('demo_web'), 'web:2')
})

t.test('a failed deployment says why and takes the whole stack back', async (t) => {
  const { node, file, deploy, spec, imageOf } = await start(t)
  t.match(
    await deploy(file('services: {db: {image: db:1}, old: {image: o}, web: {image: web:1}}')),
    {
      code: 0,
    },
  )
  const before = [spec('demo_db'), spec('demo_old'), spec('demo_web')]
  const next = file(
    'services: {db: {image: db:2}, new: {image: n, networks: [extra], configs: [c]}, web: {image: web:bad}}\n' +
      'networks: {extra: {}}\nconfigs: {c: {content: x}}',
    'next.yml',
  )
  const failed = await deploy(next, '--prune')
  t.equal(failed.code, 1)
  t.match(
    failed.err,
    /^service demo_web failed: it gets no further: 0 out of 1 tasks; task: non-zero exit \(3\)$/m,
  )
  t.match(
    failed.err,
    /^ {2}task demo_web\.1\.\S+ on node host-\d: failed, exit code 3: task: non-zero exit \(3\)$/m,
  )
  t.match(failed.err, /^Rolling back stack demo to what ran before$/m)
  t.match(failed.err, /^Stack demo is what it was before$/m)
  t.strictSame([spec('demo_db'), spec('demo_old'), spec('demo_web')], before)
  const view = node.swarm.store.view()
  t.equal(view.byName('service', 'demo_new'), undefined)
  t.equal(view.byName('network', 'demo_extra'), undefined)
  t.equal(view.byName('config', 'demo_c'), undefined)

  t.match(await deploy(next, '--rollback=false'), { code: 1, err: /demo_web failed/ })
  t.equal(imageOf('demo_web'), 'web:bad', 'kept')
  t.equal(imageOf('demo_db'), 'db:2')
  const same = await deploy(next)
  t.match(same, { code: 1, err: /It failed before as well: this deployment did not change it/ })
})

t.test('a first deployment that fails leaves nothing', async (t) => {
  const { node, file, deploy } = await start(t)
  const text = 'services: {a: {image: a}, b: {image: stuck}}\nconfigs: {c: {content: x}}'
  const failed = await deploy(file(text))
  t.match(failed, { code: 1, err: /demo_b failed: it gets no further: .*no suitable node/ })
  t.strictSame(node.swarm.store.view().list('service'), [])
  t.strictSame(node.swarm.store.view().list('config'), [])
  const refused = await deploy(
    file('services: {a: {image: a, ports: ["8:1"]}, b: {image: b, ports: ["8:1"]}}', 'refused.yml'),
    '-d',
  )
  t.match(refused.err, /^swarmctl: failed to create service demo_b: .*port '8' is already in use/m)
  t.strictSame(node.swarm.store.view().list('service'), [], 'also when the cluster refuses a part')
  const late = await deploy(file('services: {b: {image: stuck}}', 'late.yml'), '--wait-limit 5s')
  t.match(late, { code: 1, err: /demo_b failed: not there in time: 0 out of 1 tasks/ })
})

t.test('a network that a restored service was on goes when its tasks have left it', async (t) => {
  const { node, file, deploy } = await start(t)
  t.match(await deploy(file('services: {db: {image: db:1}, web: {image: web:1}}')), { code: 0 })
  const failed = await deploy(
    file(
      'services: {db: {image: db:bad}, web: {image: web:2, networks: [default, extra]}}\nnetworks: {extra: {}}',
      'next.yml',
    ),
  )
  t.match(failed, { code: 1, err: /^Stack demo is what it was before$/m })
  t.equal(node.swarm.store.view().byName('network', 'demo_extra'), undefined)
})

t.test('what somebody else changed meanwhile is not taken back', async (t) => {
  const { run, file, deploy, spec, imageOf, hooks } = await start(t)
  t.match(await deploy(file('services: {db: {image: db:1}, web: {image: web:1}}')), { code: 0 })
  hooks.onSleep = async () => {
    t.match(await run('service update -d --no-resolve-image --image web:3 demo_web'), { code: 0 })
    t.match(await run('service update -d --env-add X=1 demo_new'), { code: 0 })
  }
  const failed = await deploy(
    file(
      'services: {db: {image: db:bad}, new: {image: n}, web: {image: web:2}}\nconfigs: {c: {content: x}}',
      'next.yml',
    ),
  )
  t.match(failed, {
    code: 1,
    err: /^swarmctl: service demo_web was changed by somebody else since this deployment sent it: it is left as it is$/m,
  })
  t.match(failed.err, /^swarmctl: service demo_new was changed by somebody else/m)
  t.match(failed.err, /^Stack demo could not be taken back as a whole$/m)
  t.equal(imageOf('demo_db'), 'db:1')
  t.equal(imageOf('demo_web'), 'web:3')
  t.ok(spec('demo_new'))
})

t.test('Ctrl-C says what was not done', async (t) => {
  const { file, deploy, spec, hooks, controller } = await start(t)
  hooks.onSleep = async () => controller.abort()
  const ended = await deploy(
    file(
      'services: {app: {image: a, depends_on: {db: {condition: service_healthy}}}, db: {image: db}}',
    ),
  )
  t.match(ended, {
    code: 130,
    err: 'Interrupted: what was sent goes on by itself; not done: create service demo_app\n',
  })
  t.ok(spec('demo_db'))
  t.notOk(spec('demo_app'))
})

t.test('a failure that cannot be told is taken back all the same', async (t) => {
  const { node, file, deploy, imageOf } = await start(t)
  t.match(await deploy(file('services: {web: {image: web:1}}')), { code: 0 })
  const control = node.swarm.control()
  const listTasks = control.listTasks.bind(control)
  control.listTasks = (filters = {}, options) => {
    // What waits asks for those of the present spec.
    if ('_up-to-date' in filters) return listTasks(filters, options)
    throw new SwarmctlError('UNAVAILABLE', 'nobody leads')
  }
  const failed = await deploy(file('services: {web: {image: web:bad}}', 'next.yml'))
  t.match(failed, {
    code: 1,
    err: /^service \S+ failed: it gets no further: .* \(nobody leads\)$/m,
  })
  t.match(failed.err, /^Stack demo is what it was before$/m)
  t.equal(imageOf('demo_web'), 'web:1')
})

t.test('services wait for what they depend on', async (t) => {
  const { tasks, file, deploy, spec } = await start(t)
  const ordered = file(`
services:
  app: {image: app, depends_on: {migrate: {condition: service_completed_successfully}}}
  migrate: {image: migrate, depends_on: {db: {condition: service_healthy}}}
  db: {image: db}
  zoo: {image: zoo, depends_on: {gone: {condition: service_started, required: false}}}
`)
  const done = await deploy(ordered)
  t.match(done, { code: 0, err: '' })
  t.match(
    done.out,
    /demo_db[\s\S]*Waiting for demo_db: service_healthy\n[\s\S]*demo_migrate[\s\S]*demo_app/,
  )
  t.strictSame(
    tasks.started.filter((name) => !/zoo/.test(name)),
    ['demo_db db:latest', 'demo_migrate migrate:latest', 'demo_app app:latest'],
  )
  t.match(spec('demo_migrate')?.Mode, { ReplicatedJob: { TotalCompletions: 1 } })
  const broken = file(
    'services: {app: {image: app, depends_on: {db: {condition: service_healthy}}}, db: {image: bad}}',
    'broken.yml',
  )
  const failed = await deploy(broken, '--rollback=false')
  t.match(failed, { code: 1, err: /^service demo_db failed: / })
  t.match(spec('demo_app')?.Swarmctl, { DependsOn: [{ Service: 'demo_migrate' }] }, 'not sent')
})

t.test('a service that depends on one with the name of a network waits for it, too', async (t) => {
  const { file, deploy } = await start(t)
  const done = await deploy(
    file(
      'services: {app: {image: app, depends_on: [db]}, db: {image: db, networks: [db]}}\nnetworks: {db: {}}',
    ),
  )
  t.match(done, { code: 0, out: /^Waiting for demo_db: service_started$/m })
})

t.test('a change of the leader fails no deployment', async (t) => {
  const { file, deploy, silence, imageOf } = await start(t)
  silence(3)
  t.match(await deploy(file('services: {a: {image: a:1}}')), { code: 0, err: '' })
  t.equal(imageOf('demo_a'), 'a:1')
  silence(1000)
  const lost = await deploy(file('services: {a: {image: a:2}}'), '--rollback=false')
  t.match(lost, { code: 1, err: /nobody leads/ }, 'it is told when it lasts')
})

t.test('a write whose answer is lost counts when it took effect, and is taken back', async (t) => {
  const { node, run, file, deploy, silence, spec, imageOf } = await start(t)
  const control = node.swarm.control()
  const [create, update] = [
    control.createService.bind(control),
    control.updateService.bind(control),
  ]
  let diesFirst = false
  /** The leader dies with its answer, and nobody leads for a while. */
  const die = () => {
    node.swarm.leader = { kind: 'none', message: 'nobody leads' }
    silence(3)
    return new SwarmctlError('UNAVAILABLE', 'the leader is gone')
  }
  control.createService = async (...args) => {
    if (!diesFirst) await create(...args)
    throw die()
  }
  control.updateService = async (...args) => {
    await update(...args)
    throw die()
  }
  const failing = file('services: {a: {image: a}, b: {image: stuck}}\nconfigs: {a: {content: x}}')
  t.match(await deploy(failing), { code: 1, err: /demo_b failed: [\s\S]*is what it was before$/m })
  t.strictSame(node.swarm.store.view().list('service'), [])
  t.strictSame(node.swarm.store.view().list('config'), [])

  const one = file('services: {a: {image: a:1}}', 'one.yml')
  t.match(await deploy(one), { code: 0, err: '' }, 'it goes on with what is there')
  t.match(await deploy(file('services: {a: {image: a:2}}', 'two.yml')), { code: 0, err: '' })
  t.equal(imageOf('demo_a'), 'a:2')

  diesFirst = true
  const more = file('services: {a: {image: a:2}, b: {image: b}}', 'more.yml')
  const before = await deploy(more)
  t.match(before, {
    code: 1,
    err: /^swarmctl: failed to create service demo_b: the leader is gone$/m,
  })
  t.equal(spec('demo_b'), undefined)
  t.match(await run('service inspect demo_a'), { code: 0 })
})

t.test('a tag that stands for another image is a change of this deployment', async (t) => {
  const { run, file, deploy, imageOf } = await start(t)
  const path = file('services: {a: {image: app}}')
  t.match(await deploy(path), { code: 0 })
  const failed = await run(`stack deploy -q -c ${path} demo`)
  t.match(failed, { code: 1, err: /^Stack demo is what it was before$/m })
  t.equal(imageOf('demo_a'), 'app:latest')
})

t.test(
  'a registry is asked where images run, pinned ones too; a plan has no word of it',
  async (t) => {
    const { node, run, file, spec } = await start(t)
    node.engine.imagePlatforms = [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm', os: 'linux', variant: 'v7' },
    ]
    const pinned = `app@sha256:${'0'.repeat(64)}`
    const path = file(`
services:
  a: {image: "${pinned}", deploy: {placement: {constraints: [node.role==worker]}}}
  b: {image: app}
  c: {image: app, platform: linux/arm64}
  gone: {image: none:1}
`)
    const placementOf = (name: string) => spec(name)?.TaskTemplate.Placement
    const Platforms = [
      { Architecture: 'amd64', OS: 'linux' },
      { Architecture: '', OS: 'linux' },
    ]
    const expectPlatforms = (when: string) => {
      t.strictSame(
        placementOf('demo_a'),
        { Constraints: ['node.role==worker'], Platforms },
        `beside constraints ${when}`,
      )
      t.equal(spec('demo_a')?.TaskTemplate.ContainerSpec?.Image, pinned)
      t.strictSame(placementOf('demo_b')?.Platforms, Platforms, when)
      t.strictSame(placementOf('demo_c')?.Platforms, [{ OS: 'linux', Architecture: 'arm64' }], when)
      t.strictSame(placementOf('demo_gone')?.Platforms ?? [], [], when)
    }
    const warning = /^image none:1 could not be accessed on a registry to record its digest.*\n$/
    t.match(await run(`stack deploy --detach -c ${path} demo`), { code: 0, err: warning })
    t.equal(node.engine.requests('GET', /^\/.*distribution\//).length, 4)
    expectPlatforms('of new services')
    t.match(await run(`stack plan -c ${path} demo`), { code: 0, out: /\nNo changes\.\n$/ })

    t.match(await run(`stack deploy --detach --resolve-image changed -c ${path} demo`), {
      code: 0,
      err: '',
    })
    t.equal(node.engine.requests('GET', /^\/.*distribution\//).length, 4, 'not asked again')
    expectPlatforms('of images that are the same')

    const others = file(`services: {a: {image: "none@sha256:${'0'.repeat(64)}"}}`, 'others.yml')
    const warned = await run(`stack deploy --detach -c ${others} demo`)
    t.match(warned, { code: 0, err: /^image none@sha256:0+ could not be accessed on a registry/ })
    t.strictSame(placementOf('demo_a')?.Platforms ?? [], [], 'not those of another image')
  },
)
