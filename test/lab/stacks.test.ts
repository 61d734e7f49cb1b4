import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { execInTask, runningTasksOf, serviceOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Issue "a swarm that runs", Stacks: every verb of `stack`, with the files of examples/ as users have them.

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
    host.exec('curl', ['-s', '-m', '5', `http://${host.ip}:${port}`]).then(({ stdout }) => stdout)

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
    for (const verb of ['ps', 'services']) {
      const nothing = await stack([verb, 'web'], { check: false })
      t.match(nothing, { code: 1, stderr: /nothing found in stack: web/ })
    }
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
      stderr: /update secret blog_password: .*its content changed; give the new/,
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
    t.match(unset.stderr, /shop\.yml: .*SHOP_VERSION.*say which version to deploy/)
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
    t.match(await sh('curl -s -m 5 http://warehouse'), /"version":"1"/, 'alias on the network')

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

  await t.test('unsupported keys are named, the rest is deployed', async (t) => {
    const file = write(
      'warned.yml',
      `
services:
  one:
    image: ${IMAGE}
    build: .
    privileged: true
    container_name: one
    depends_on: [other]
    tmpfs: /scratch
    networks: { default: { ipv4_address: 10.9.9.9 } }
`,
    )
    const { stderr } = await deploy('warned', [file])
    t.match(stderr, /^Ignoring unsupported options: build, privileged$/m)
    t.match(stderr, /^Ignoring deprecated options:\n {2}container_name: /m)
    t.match(stderr, /^services\.one\.depends_on is ignored/m)
    t.match(stderr, /^services\.one\.tmpfs is ignored: write it under volumes/m)
    t.match(stderr, /^services\.one\.networks\.default\.ipv4_address is ignored/m)
    await untilRunning(h1, 'warned_one', 1)
    await stack(['rm', 'warned'])
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
      code: 125,
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
