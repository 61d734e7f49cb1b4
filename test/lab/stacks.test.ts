import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import {
  execInTask,
  inspectTask,
  runningTasksOf,
  serviceOf,
  untilRunning,
} from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { untilAnswers, untilAnswersInTask } from '../support/lab/waits.ts'

// Stacks: every verb of `stack`, with the files of examples/ as users have them.

const EXAMPLES = resolve(import.meta.dirname, '../../examples')
const WEB = join(EXAMPLES, 'web.yml')
const BLOG = join(EXAMPLES, 'blog.yml')
const SHOP = join(EXAMPLES, 'shop.yml')
const IMAGE = 'swarmctl-test:1'
const TIMEOUT_MS = 120_000

/** The lab has no registry: what examples/blog.yml pulls is replaced. */
const BLOG_OVERRIDE = `
services:
  site:
    image: ${IMAGE}
    environment: { STAGE: lab }
    labels: { stage: lab }
    deploy:
      update_config: { parallelism: 0, monitor: 1s }
  database:
    image: ${IMAGE}
    healthcheck: { test: [CMD, test, -e, /run/secrets/password], interval: 1s }
    stop_grace_period: 5s
`
const WEB_OVERRIDE = `
services:
  web:
    deploy:
      update_config: { parallelism: 3, monitor: 1s }
`

labTest(t, 'stacks', { hosts: 3 }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 2, workers: 1 })
  const dir = join(h1.dir, 'stacks')
  mkdirSync(dir)
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const stack = (
    args: readonly string[],
    options: { env?: Record<string, string>; input?: string; check?: boolean } = {},
    host = h1,
  ) => host.swarmctl(['stack', ...args], { timeoutMs: TIMEOUT_MS, ...options })
  const deploy = (
    name: string,
    files: readonly string[],
    options: Parameters<typeof stack>[1] & { args?: readonly string[]; host?: LabHost } = {},
  ) =>
    stack(
      [
        ...['deploy', '--quiet', '--resolve-image', 'never', ...(options.args ?? [])],
        ...[...files.flatMap((file) => ['-c', file]), name],
      ],
      options,
      options.host,
    )
  const idsOf = async (service: string): Promise<string[]> =>
    (await runningTasksOf(h1, service)).map((task) => task.ID).sort()
  const webAnswer = (host: LabHost, port: number) =>
    untilAnswers(host, `http://${host.ip}:${port}`, /"version"/)

  await t.test('examples/web.yml: deploy, ls, services, ps, update in place, rm', async (t) => {
    const files = [WEB, write('web-override.yml', WEB_OVERRIDE)]
    const env = { WEB_IMAGE: IMAGE }
    const first = await deploy('web', files, { env })
    t.match(first.stdout, /Creating network web_default\nCreating service web_web\n/)
    const [task] = await untilRunning(h1, 'web_web', 3)
    t.equal(task?.Spec.ContainerSpec?.Image, IMAGE)
    const spec = (await serviceOf(h1, 'web_web')).Spec
    t.match(spec.UpdateConfig, { Order: 'start-first', FailureAction: 'rollback', Monitor: 1e9 })
    t.equal(spec.Labels['com.docker.stack.namespace'], 'web')
    t.match(spec, { Swarmctl: { DrainLimit: 30e9 } })
    for (const host of lab.hosts) t.match(await webAnswer(host, 8080), /"version":"1"/, host.name)
    for (const host of [h1, h2]) {
      t.match((await stack(['ls'], {}, host)).stdout, /^web +1$/m, host.name)
      const services = (await stack(['services', 'web'], {}, host)).stdout
      t.match(services, /web_web +replicated +3\/3 +swarmctl-test:1 +\*:8080->80\/tcp/)
      const ps = (await stack(['ps', 'web'], {}, host)).stdout
      for (const one of lab.hosts)
        t.match(ps, new RegExp(`web_web\\.\\d +\\S+ +${one.name} +Running +Running`))
    }
    t.equal(
      (await stack(['services', '-q', '--filter', 'name=web_web', 'web'])).stdout.trim(),
      (await serviceOf(h1, 'web_web')).ID,
    )
    const format = ['--format', '{{.Name}} {{.Services}}']
    t.equal((await stack(['ls', ...format])).stdout.trim(), 'web 1')
    t.equal((await stack(['ps', '-q', '--filter', 'node=h3', 'web'])).stdout.trim().length, 25)

    const before = await idsOf('web_web')
    const again = await deploy('web', files, { env, host: h2 })
    t.match(again.stdout, /^Updating service web_web \(id: \w{25}\)$/m)
    t.strictSame(await idsOf('web_web'), before, 'the same file again changes nothing')
    await deploy('web', files, { env: { WEB_IMAGE: 'swarmctl-test:2' } })
    await eventually(async () => /"version":"2"/.test(await webAnswer(h3, 8080)), {
      what: 'the new version answers',
    })
    const after = await untilRunning(h1, 'web_web', 3)
    t.notOk(after.some(({ ID }) => before.includes(ID)))
    t.match((await stack(['ps', 'web'])).stdout, /\\_ web_web\.1 +swarmctl-test:1 .*Shutdown/)

    const bad = await deploy('web', files, {
      env: { WEB_IMAGE: 'swarmctl-test:bad' },
      check: false,
    })
    t.equal(bad.code, 1, 'the exit code says that it did not converge')
    t.match(bad.stderr, /rolled back|rollback/)
    t.match(await webAnswer(h3, 8080), /"version":"2"/)

    const removed = await stack(['rm', 'web'])
    t.match(removed.stdout, /Removing service web_web\nRemoving network web_default\n/)
    t.equal((await stack(['ls', '-q'], { check: false })).stdout.includes('web'), false)
    t.notMatch((await h1.swarmctl(['network', 'ls'])).stdout, /web_default/)
    const nothing = await stack(['ps', 'web'], { check: false })
    t.match(nothing, { code: 1, stderr: /nothing found in stack: web/ })
    t.match((await stack(['services', 'web'])).stderr, /Nothing found in stack: web/)
    t.match((await stack(['rm', 'web'])).stderr, /Nothing found in stack: web/)
  })

  await t.test('examples/blog.yml with an override: files, networks, a volume', async (t) => {
    const files = [BLOG, write('blog-override.yml', BLOG_OVERRIDE)]
    const { stdout } = await deploy('blog', files)
    for (const created of ['network blog_front', 'network blog_back', 'secret blog_password'])
      t.match(stdout, `Creating ${created}\n`)
    t.match(stdout, /Creating config blog_page\n/)
    const sites = await untilRunning(h1, 'blog_site', 2)
    const [database] = await untilRunning(h1, 'blog_database', 1)
    const read = async (task: typeof database, ...command: string[]) =>
      task && (await execInTask(lab.hosts, task, command)).stdout.trim()
    const variable = (task: typeof database, name: string) =>
      read(task, 'sh', '-c', `echo "$${name}"`)
    t.equal(new Set(sites.map(({ NodeID }) => NodeID)).size, 2, 'max_replicas_per_node')
    t.equal(await read(sites[0], 'cat', '/usr/share/nginx/html/index.html'), '<h1>It works</h1>')
    t.equal(await variable(sites[0], 'STAGE'), 'lab')
    t.equal(await read(database, 'cat', '/run/secrets/password'), 'change me')
    t.equal(await read(database, 'stat', '-c', '%a', '/run/secrets/password'), '400')
    t.equal(
      await variable(database, 'POSTGRES_PASSWORD_FILE'),
      '/run/secrets/password',
      'the second file adds to the first',
    )
    t.match(await read(database, 'cat', '/proc/mounts'), / \/var\/lib\/postgresql\/data /)
    const networks = JSON.parse(
      (await h1.swarmctl(['network', 'inspect', 'blog_front', 'blog_back'])).stdout,
    )
    t.strictSame(
      networks.map((one: { Internal: boolean }) => one.Internal),
      [false, true],
    )
    t.match(spec(await serviceOf(h1, 'blog_site')), {
      Limits: { NanoCPUs: 0.5e9, MemoryBytes: 64 << 20 },
    })
    t.match((await stack(['ls'])).stdout, /^blog +2$/m)

    const before = [...(await idsOf('blog_site')), ...(await idsOf('blog_database'))]
    const printed = (await stack(['config', ...files.flatMap((file) => ['-c', file])])).stdout
    t.match(printed, /image: swarmctl-test:1/)
    t.notMatch(printed, /nginx:|postgres:17/)
    t.match(printed, /interval: 1s/)
    await deploy('blog', ['-'], { input: printed })
    const after = [...(await idsOf('blog_site')), ...(await idsOf('blog_database'))]
    t.strictSame(after, before, 'what `stack config` prints is the same stack')

    const third = write('blog-third.yml', 'services: { site: { environment: { STAGE: next } } }')
    await deploy('blog', [...files, third])
    const changed = await untilRunning(h1, 'blog_site', 2)
    t.notOk(changed.some(({ ID }) => before.includes(ID)))
    t.equal(await variable(changed[0], 'STAGE'), 'next')
    t.strictSame(
      await idsOf('blog_database'),
      [database?.ID],
      'an unchanged service keeps its task',
    )

    const page = write('index.html', '<h1>changed</h1>')
    const other = write('blog-page.yml', `configs: { page: { file: ${page} } }`)
    const refused = await deploy('blog', [...files, other], { check: false })
    t.match(refused, { code: 1, stderr: /config blog_page: its content changed/ })
    t.notMatch(refused.stdout, /Creating|Updating/, 'refused before anything is changed')
    const password = write('password.txt', 'changed')
    const secret = write('blog-secret.yml', `secrets: { password: { file: ${password} } }`)
    t.match(await deploy('blog', [...files, third, secret], { check: false }), {
      code: 1,
      stderr: /secret blog_password: its content changed, .*give the new content another name/,
    })
    t.strictSame(await idsOf('blog_database'), [database?.ID])

    await stack(['rm', 'blog'])
    for (const kind of ['secret', 'config', 'network'])
      t.notMatch((await h1.swarmctl([kind, 'ls'])).stdout, /blog_/, kind)
  })

  await t.test('examples/shop.yml: variables, env_file, external objects, --prune', async (t) => {
    const env = { SHOP_IMAGE: 'swarmctl-test', SHOP_VERSION: '1', TOWN: 'Bern' }
    const unset = await deploy('shop', [SHOP], { check: false, env: { SHOP_IMAGE: 'x' } })
    t.equal(unset.code, 1)
    t.match(unset.stderr, /shop\.yml:\d+: .*SHOP_VERSION.*say which version to deploy/)
    for (const [what, create, input] of [
      ['network "market"', ['network', 'create', 'market'], ''],
      ['secret "shop-key"', ['secret', 'create', 'shop-key', '-'], 'k3y'],
      ['config "opening-hours"', ['config', 'create', 'opening-hours', '-'], 'open: 9-17\n'],
    ] as const) {
      const missing = await deploy('shop', [SHOP], { check: false, env })
      t.equal(missing.code, 1)
      t.match(missing.stderr, `${what} is declared as external, but could not be found`)
      t.equal((await stack(['ls', '--format', '{{.Name}}'])).stdout, '', 'nothing was created')
      await h1.swarmctl(create, { input })
    }
    const { stdout } = await deploy('shop', [SHOP], { env })
    t.notMatch(stdout, /market|key|hours/, 'external objects are not created')
    const [counter] = await untilRunning(h1, 'shop_counter', 2)
    const stock = (await untilRunning(h1, 'shop_stock', 1)).map(({ ID }) => ID)
    const sh = async (script: string) =>
      counter && (await execInTask(lab.hosts, counter, ['sh', '-c', script])).stdout
    t.equal(
      await sh('echo $CURRENCY $TOWN $GREETING $PRICE; cat /run/secrets/key'),
      'EUR Bern welcome 5$\nk3y',
    )
    t.equal(await sh('cat /etc/shop/hours.yml'), 'open: 9-17\n')
    const reached =
      counter && (await untilAnswersInTask(lab.hosts, counter, 'http://warehouse', /"version":"1"/))
    t.ok(reached, 'alias on the network')

    await deploy('shop', [SHOP], { env: { ...env, SHOP_GREETING: 'good day' } })
    const greeted = await untilRunning(h1, 'shop_counter', 2)
    t.notOk(greeted.some(({ ID }) => ID === counter?.ID))
    t.strictSame(await idsOf('shop_stock'), stock, 'an unchanged service keeps its task')

    const counters = greeted.map(({ ID }) => ID).sort()
    const less = (
      await stack(['config', '-c', SHOP], { env: { ...env, SHOP_GREETING: 'good day' } })
    ).stdout
    const without = write('shop-less.yml', less.replace(/^ {2}stock:\n(?: {4}.*\n)+/m, ''))
    await deploy('shop', [without], { env })
    t.strictSame(await idsOf('shop_stock'), stock, 'without --prune it stays')
    const pruned = await deploy('shop', [without], { env, args: ['--prune'] })
    t.match(pruned.stdout, /Removing service shop_stock\n/)
    t.match((await stack(['services', 'shop', '--format', '{{.Name}}'])).stdout, /^shop_counter\n$/)
    t.strictSame(await idsOf('shop_counter'), counters)
    await stack(['rm', 'shop'])
    for (const [kind, name] of [
      ['network', 'market'],
      ['secret', 'shop-key'],
      ['config', 'opening-hours'],
    ] as const) {
      t.match((await h1.swarmctl([kind, 'ls'])).stdout, name, 'external objects stay')
    }
  })

  await t.test('what an Engine can do and Swarm can’t say', async (t) => {
    const file = write(
      'beyond.yml',
      `
name: beyond
services:
  one:
    image: ${IMAGE}
    build: .
    container_name: primary
    shm_size: 8m
    ipc: private
    pid: host
    tmpfs: /scratch:size=1m
    devices: ["/dev/null:/dev/nothing:r"]
    security_opt: [label=disable]
    mem_limit: 64m
    cpu_shares: 512
    uts: host
    configs: [{ source: text, target: /text }]
    secrets: [word]
    depends_on: { prepare: { condition: service_completed_successfully } }
    networks: { fixed: { ipv4_address: 10.77.5.77 } }
    ports: ["127.0.0.1:18080:80"]
  prepare:
    image: ${IMAGE}
    entrypoint: [sh, -c, "sleep 1"]
    depends_on: { two: { condition: service_healthy } }
    networks: [fixed]
  two:
    image: ${IMAGE}
    healthcheck: { test: [CMD, sh, -c, "test $$(cut -d. -f1 /proc/uptime) -gt 0"], interval: 500ms }
    networks: [fixed]
  never: { image: none-such, profiles: [other] }
networks: { fixed: { ipam: { config: [{ subnet: 10.77.0.0/16 }] } } }
configs: { text: { content: "inline $$\\n" } }
secrets: { word: { environment: WORD } }
`,
    )
    const env = { WORD: 's3cret' }
    const done = await stack(['deploy', '-q', '--resolve-image', 'never', '-c', file], { env })
    t.match(done.stderr, /^Ignoring unsupported options: build$/m)
    t.match(
      done.stdout,
      /beyond_two[\s\S]*Waiting for beyond_two: service_healthy[\s\S]*beyond_one/,
    )
    const [task] = await untilRunning(h1, 'beyond_one', 1)
    if (task === undefined) return
    const { host, container } = await inspectTask(lab.hosts, task)
    t.match(container.HostConfig, {
      ShmSize: 8 << 20,
      IpcMode: 'private',
      PidMode: 'host',
      UTSMode: 'host',
      Tmpfs: { '/scratch': 'size=1m' },
      Devices: [
        { PathOnHost: '/dev/null', PathInContainer: '/dev/nothing', CgroupPermissions: 'r' },
      ],
      Memory: 64 << 20,
      CpuShares: 512,
    })
    const sh = async (script: string) =>
      (await execInTask(lab.hosts, task, ['sh', '-c', script])).stdout.trim()
    t.equal(
      await sh(
        'cat /text; cat /run/secrets/word; test -c /dev/nothing && echo; df /scratch | tail -1 | cut -c1-5',
      ),
      'inline $\ns3cret\ntmpfs',
    )
    t.match(await sh('cat /proc/net/fib_trie'), /10\.77\.5\.77/)
    const [other] = await untilRunning(h1, 'beyond_two', 1)
    const reached =
      other && (await untilAnswersInTask(lab.hosts, other, 'http://primary', /"version":"1"/))
    t.ok(reached, 'the container’s name is an alias')
    const port = (at: string) =>
      host.exec('curl', ['-s', '-m', '5', `http://${at}:18080`], { check: false })
    await eventually(async () => /"version":"1"/.test((await port('127.0.0.1')).stdout), {
      what: 'the port of the loopback answers',
    })
    t.not((await port(host.ip)).code, 0, 'a port of the loopback is not published elsewhere')

    const plan = (args: readonly string[]) =>
      stack(['plan', ...args, '-c', file], { env, check: false })
    const unchanged =
      /^= service beyond_prepare {2}\(runs again\)$[\s\S]*^0 to create, 0 to change, 0 to remove, 1 to run again\.$/m
    t.match(await plan([]), { code: 2, stdout: unchanged })
    const bigger = write(
      'bigger.yml',
      'services: { one: { mem_limit: 96m, deploy: { placement: { constraints: [node.role==none] } } } }',
    )
    const planned = await plan(['--format', 'json', '-c', file, '-c', bigger])
    t.equal(planned.code, 2)
    const review = JSON.parse(planned.stdout)
    t.match(
      review.Placement.find(({ Service }: { Service: string }) => Service === 'beyond_one'),
      {
        Unplaced: [{ Tasks: 1, Reason: /constraint node\.role==none not met/ }],
      },
    )
    await h1.swarmctl(['service', 'update', '-d', '--label-add', 'a=b', 'beyond_two'])
    const late = await deploy('beyond', [file], {
      env,
      check: false,
      args: ['--plan-index', String(review.Index)],
    })
    t.match(late, { code: 1, stderr: /the cluster moved on since the plan/ })
    await stack(['rm', 'beyond'])
  })

  await t.test('one host port at several addresses of one host', async (t) => {
    const service = (...addresses: string[]) => {
      const at = (address: string) =>
        `{ target: 80, published: 18090, mode: host, host_ip: ${address} }`
      const here = `deploy: { placement: { constraints: [node.hostname==${h1.name}] } }`
      return `{ image: ${IMAGE}, hostname: "{{.Service.Name}}", ports: [${addresses.map(at)}], ${here} }`
    }
    const text = `services: { one: ${service('127.0.0.1')}, two: ${service('127.0.0.2', h1.ip)} }`
    await deploy('addresses', [write('addresses.yml', text)])
    const answerer = async (address: string) => {
      const url = `http://${address}:18090/`
      return JSON.parse(await untilAnswers(h1, url, /"host"/)).host
    }
    t.equal(await answerer('127.0.0.1'), 'addresses_one')
    t.equal(await answerer('127.0.0.2'), 'addresses_two')
    t.equal(await answerer(h1.ip), 'addresses_two')
    await stack(['rm', 'addresses'])
  })

  await t.test('a deployment that fails is taken back as a whole', async (t) => {
    const good = (version: string) =>
      `{ image: ${IMAGE}, environment: { STAGE: "${version}" }, deploy: { update_config: { monitor: 1s } } }`
    await deploy('back', [write('good.yml', `services: { a: ${good('1')}, b: ${good('1')} }`)])
    const before = await Promise.all(['back_a', 'back_b'].map((name) => serviceOf(h1, name)))
    const broken = `
services:
  a: ${good('2')}
  b:
    image: ${IMAGE}
    entrypoint: [sh, -c, "echo out of cheese; exit 7"]
    deploy: { update_config: { monitor: 1s }, restart_policy: { delay: 1s } }
    configs: [c]
  c: ${good('2')}
configs: { c: { content: new } }
`
    const failed = await deploy('back', [write('broken.yml', broken)], { check: false })
    t.equal(failed.code, 1)
    t.match(failed.stderr, /^service back_b failed: /m)
    t.match(failed.stderr, /^ {2}task back_b\.1\.\S+ on node h\d: failed, exit code 7: /m)
    t.match(failed.stderr, /^ {2}\| out of cheese$/m)
    t.match(failed.stderr, /^Stack back is what it was before$/m)
    const after = await Promise.all(['back_a', 'back_b'].map((name) => serviceOf(h1, name)))
    t.strictSame(
      after.map(({ Spec }) => Spec),
      before.map(({ Spec }) => Spec),
    )
    const [running] = await untilRunning(h1, 'back_a', 1)
    const env = running && (await inspectTask(lab.hosts, running)).container.Config.Env
    t.match(env, ['STAGE=1'])
    t.equal((await stack(['services', 'back', '--format', '{{.Name}}'])).stdout, 'back_a\nback_b\n')
    t.notMatch((await h1.swarmctl(['config', 'ls'])).stdout, /back_c/)
    await stack(['rm', 'back'])
  })

  await t.test('a Deployment of Kubernetes', async (t) => {
    const text = readFileSync(join(EXAMPLES, 'kubernetes/web.yml'), 'utf8')
    const file = write(
      'deployment.yml',
      text.replace('nginx:1.27-alpine', IMAGE).replace('port: 8080', 'port: 18090'),
    )
    const applied = await h1.swarmctl(['apply', '-q', '--resolve-image', 'never', '-f', file], {
      timeoutMs: TIMEOUT_MS,
    })
    t.match(applied.stdout, /Creating service web/)
    const [task] = await untilRunning(h1, 'web', 3)
    const page =
      task && (await execInTask(lab.hosts, task, ['cat', '/usr/share/nginx/html/index.html']))
    t.equal(page?.stdout, '<h1>It runs</h1>\n')
    t.match(await webAnswer(h3, 18090), /"version":"1"/, 'published by the Service, on every node')
    const url = 'http://front.default.svc.cluster.local'
    t.ok(task && (await untilAnswersInTask(lab.hosts, task, url, /"version":"1"/)))
    await stack(['rm', 'default'])
  })

  await t.test('a bad file is refused in words that name file and key', async (t) => {
    const one = (rest: string) => `services:\n  one:\n    image: ${IMAGE}\n${rest}`
    for (const [name, text, words] of [
      ['unknown', one('    imagee: x\n'), /services\.one.*imagee/],
      ['top', `${one('')}volume: {}\n`, /volume/],
      ['deploy', one('    deploy: { replica: 3 }\n'), /services\.one\.deploy.*replica/],
      ['extension', one('    x-swarmctl: { drain: 3s }\n'), /x-swarmctl.*drain/],
      ['type', one('    deploy: { replicas: many }\n'), /services\.one\.deploy\.replicas/],
      ['port', one('    ports: ["99999:80"]\n'), /services\.one\.ports/],
      ['forbidden', one('    extends: { service: two }\n'), /services\.one\.extends/],
      ['network', one('    networks: [nowhere]\n'), /nowhere/],
      ['secret', one('    secrets: [nothing]\n'), /nothing/],
      ['source', `${one('    secrets: [s]\n')}secrets: { s: { file: ./absent } }\n`, /absent/],
      [
        'env',
        one('    env_file: ./absent.env\n'),
        /services\.one\.env_file: \.\/absent\.env: cannot be read/,
      ],
      ['variable', one('    hostname: "$' + '{BAD"\n'), /hostname/],
      ['yaml', 'services:\n  one: [\n', /yaml|line|flow/i],
      ['tabs', 'services:\n\tone: {}\n', /tab|line/i],
      ['list', '- services\n', /mapping/],
      ['empty', '', /empty|mapping/],
      ['noimage', 'services: { one: { command: x } }\n', /image/],
    ] as const) {
      const file = write(`${name}.yml`, text)
      const refused = await deploy('bad', [file], { check: false })
      t.equal(refused.code, 1, name)
      t.match(refused.stderr, words, name)
      t.match(refused.stderr, `${name}.yml`, `${name}: the file is named`)
      t.equal(refused.stderr.trim().split('\n').length, 1, `${name}: ${refused.stderr}`)
    }
    const absent = await deploy('bad', [join(dir, 'no-such.yml')], { check: false })
    t.match(absent, { code: 1, stderr: /no-such\.yml: cannot be read/ })
    t.match(await stack(['deploy', 'bad'], { check: false }), {
      code: 1,
      stderr: /--compose-file/,
    })
    const name = await deploy('b a d', [WEB], { check: false, env: { WEB_IMAGE: IMAGE } })
    t.match(name, { code: 1, stderr: /b a d/ })
    t.equal((await stack(['ls', '--format', '{{.Name}}'])).stdout, '', 'nothing was created')
    t.notMatch((await h1.swarmctl(['network', 'ls'])).stdout, /bad_/)
    const worker = await stack(['ls'], { check: false }, h3)
    t.match(worker, { code: 1, stderr: /not a swarm manager/ })
  })
})

const spec = (service: Awaited<ReturnType<typeof serviceOf>>) => service.Spec.TaskTemplate.Resources
