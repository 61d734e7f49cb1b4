import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Task } from '../../src/api/task.ts'
import { execInTask, inspectTask, nodesByName, tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { disguises, filesWith, isInMemory } from '../support/lab/needle.ts'

// Secrets and configs: how they get into the container, and where they must never be.

const SECRET = 'Plaintext-of-the-password-7Qm2xV9'
const ROTATED = 'Plaintext-of-its-successor-4Rt8bK1'
const CONFIG = 'plaintext_of_the_config_5Yw3nE6'
const NEEDLES = [SECRET, ROTATED, CONFIG].flatMap(disguises)
const CREATE = ['service', 'create', '--quiet', '--no-resolve-image', '--update-monitor', '1s']
const IMAGE = 'swarmctl-test:1'
const patiently = { timeoutMs: 120_000 }

labTest(t, 'secrets and configs', { hosts: 3 }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 1, daemonArgs: ['--log-level', 'debug'] })
  const read = async (task: Task, ...command: string[]) =>
    (await execInTask(lab.hosts, task, command)).stdout.trimEnd()
  /** What the host itself sees in the tmpfs of its daemon. */
  const inTmpfs = async (host: LabHost) =>
    (await host.exec('find', [join(host.runDir, 'secrets'), '-type', 'f'])).stdout
      .split('\n')
      .filter((line) => line !== '')
  const untilNothingIn = (host: LabHost) =>
    eventually(async () => (await inTmpfs(host)).length === 0, {
      what: `no files for tasks on ${host.name}`,
      timeoutMs: 60_000,
    })
  const untilOn = (service: string, host: LabHost, isIt: (task: Task) => boolean = () => true) =>
    eventually(
      async () => {
        const [task] = await untilRunning(h1, service, 1, { on: [host.name] })
        return task && isIt(task) && task
      },
      { what: `${service} on ${host.name}`, timeoutMs: 60_000 },
    )
  const isOnNoDisk = async (t: Test) => {
    for (const host of lab.hosts) {
      const found = await filesWith(host.dir, NEEDLES)
      t.strictSame(found, [], `nothing on the disk of ${host.name}, logs included`)
    }
  }

  await t.test('create, ls, inspect, rm', async (t) => {
    const { stdout } = await h1.swarmctl(
      ['secret', 'create', '--label', 'env=test', 'password', '-'],
      { input: SECRET },
    )
    const file = join(h1.dir, 'config-source')
    writeFileSync(file, CONFIG)
    await h1.swarmctl(['config', 'create', 'settings', file])
    rmSync(file)
    const id = stdout.trim()
    t.match((await h1.swarmctl(['secret', 'ls'])).stdout, new RegExp(`${id} +password +`))
    t.equal(
      (await h1.swarmctl(['secret', 'ls', '-q', '--filter', 'label=env=test'])).stdout.trim(),
      id,
    )
    const secret = (await h1.swarmctl(['secret', 'inspect', 'password'])).stdout
    t.match(JSON.parse(secret)[0].Spec, { Name: 'password', Labels: { env: 'test' } })
    for (const needle of disguises(SECRET)) t.notOk(secret.includes(needle), 'no data is shown')
    const config = JSON.parse((await h1.swarmctl(['config', 'inspect', 'settings'])).stdout)
    t.equal(Buffer.from(config[0].Spec.Data, 'base64').toString(), CONFIG)

    for (const [args, input, words] of [
      [['secret', 'create', 'password', '-'], 'x', /password.*exists/],
      [['secret', 'create', 'empty', '-'], '', /empty|data/i],
      [['secret', 'create', 'big', '-'], 'x'.repeat(501 * 1024), /500|too large|larger/i],
      [['secret', 'create', 'bad name!', '-'], 'x', /name/],
      [['secret', 'create', 'nofile', '/does/not/exist'], '', /\/does\/not\/exist/],
      [['secret', 'inspect', 'nothing'], '', /nothing/],
      [['config', 'rm', 'nothing'], '', /nothing/],
    ] as const) {
      const refused = await h1.swarmctl(args, { input, check: false })
      t.equal(refused.code, 1, args.join(' '))
      t.match(refused.stderr, words)
      t.equal(refused.stderr.trim().split('\n').length, 1)
    }
    await h1.swarmctl(['secret', 'create', 'unused', '-'], { input: 'x' })
    await h1.swarmctl(['secret', 'rm', 'unused'])
    t.notMatch((await h1.swarmctl(['secret', 'ls'])).stdout, /unused/)
  })

  await t.test('in the container: name, mode, owner, target, from tmpfs', async (t) => {
    await h1.swarmctl(['config', 'create', '--template-driver', 'golang', 'template', '-'], {
      input: 'on {{.Node.Hostname}} in {{.Service.Name}}',
    })
    await h1.swarmctl(
      [
        ...[...CREATE, '--name', 'user', '--constraint', 'node.hostname==h2'],
        ...['--secret', 'password', '--config', 'settings'],
        ...['--secret', 'source=password,target=renamed,mode=0400,uid=1001,gid=1002'],
        ...['--secret', 'source=password,target=/opt/app/key,mode=0440'],
        ...['--config', 'source=settings,target=/etc/app/settings.ini,mode=0600,uid=65534'],
        ...['--config', 'source=template,target=/etc/filled', IMAGE],
      ],
      patiently,
    )
    const task = await untilOn('user', h2)
    const expected: [path: string, text: string, mode: string, owner: string][] = [
      ['/run/secrets/password', SECRET, '444', '0 0'],
      ['/run/secrets/renamed', SECRET, '400', '1001 1002'],
      ['/opt/app/key', SECRET, '440', '0 0'],
      ['/settings', CONFIG, '444', '0 0'],
      ['/etc/app/settings.ini', CONFIG, '600', '65534 0'],
      ['/etc/filled', 'on h2 in user', '444', '0 0'],
    ]
    const mounts = await read(task, 'cat', '/proc/mounts')
    for (const [path, text, mode, owner] of expected) {
      t.equal(await read(task, 'cat', path), text, path)
      t.equal(await read(task, 'stat', '-c', '%a %u %g', path), `${mode} ${owner}`)
      t.equal(await read(task, 'stat', '-f', '-c', '%T', path), 'tmpfs')
      t.match(mounts, new RegExp(` ${path} tmpfs ro,`), 'read-only')
    }
    const written = await execInTask(lab.hosts, task, ['sh', '-c', 'echo x >/opt/app/key'], {
      check: false,
    })
    t.match(written.stderr, /Read-only/)
    const { container } = await inspectTask(lab.hosts, task)
    const inspected = JSON.stringify(container)
    t.notOk(
      NEEDLES.some((needle) => inspected.includes(needle)),
      'docker inspect shows none of it',
    )
  })

  await t.test('on the way: only at nodes that need it, on no disk', async (t) => {
    t.match((await h2.exec('stat', ['-f', '-c', '%T', join(h2.runDir, 'secrets')])).stdout, /tmpfs/)
    t.equal((await inTmpfs(h2)).length, 6)
    t.strictSame(await inTmpfs(h3), [], 'h3 has no such task')
    const planted = join(h3.dir, 'planted')
    for (const needle of NEEDLES) {
      writeFileSync(planted, `0${needle}0`)
      t.strictSame(await filesWith(h3.dir, [needle]), [planted], 'what is there is found')
    }
    rmSync(planted)
    await isOnNoDisk(t)
    const secret = disguises(SECRET)
    t.ok(isInMemory(h2.daemon?.pid as number, secret), 'h2 was sent it')
    t.notOk(isInMemory(h3.daemon?.pid as number, secret), 'h3 was never sent it')
    t.notOk(isInMemory(h3.daemon?.pid as number, disguises(CONFIG)))
  })

  await t.test('what a service uses is not removed', async (t) => {
    for (const [kind, name] of [
      ['secret', 'password'],
      ['config', 'settings'],
    ] as const) {
      const refused = await h1.swarmctl([kind, 'rm', name], { check: false })
      t.equal(refused.code, 1)
      t.match(refused.stderr, /in use.*user/)
    }
  })

  await t.test(
    'both daemons killed with -9: the files stay, a new task gets its own',
    async (t) => {
      const task = await untilOn('user', h2)
      await h2.kill9Daemon()
      await h1.kill9Daemon()
      t.equal(
        (
          await h2.docker([
            'exec',
            task.Status.ContainerStatus?.ContainerID as string,
            'cat',
            '/run/secrets/password',
          ])
        ).stdout,
        SECRET,
      )
      await isOnNoDisk(t)
      await h1.spawnDaemon(['--log-level', 'debug'])
      await h2.spawnDaemon(['--log-level', 'debug'])
      await eventually(async () => (await nodesByName(h1)).get('h2')?.Status.State === 'ready', {
        what: 'h2 is ready',
        timeoutMs: 60_000,
      })
      t.equal((await untilOn('user', h2)).ID, task.ID)
      t.equal((await inTmpfs(h2)).length, 6)
      await h1.swarmctl(
        [
          'service',
          'update',
          '-q',
          '--constraint-rm',
          'node.hostname==h2',
          '--constraint-add',
          'node.hostname==h3',
          'user',
        ],
        patiently,
      )
      const moved = await untilOn('user', h3)
      t.equal(
        await read(moved, 'cat', '/run/secrets/password'),
        SECRET,
        'from the disk of the manager',
      )
      t.equal(await read(moved, 'cat', '/etc/filled'), 'on h3 in user')
      await untilNothingIn(h2)
    },
  )

  await t.test('rotation, and the end: gone with the task', async (t) => {
    await h1.swarmctl(['secret', 'create', 'password-2', '-'], { input: ROTATED })
    const old = await untilOn('user', h3)
    await h1.swarmctl(
      [
        ...['service', 'update', '-q', '--secret-rm', 'password', '--config-rm', 'template'],
        ...['--secret-add', 'source=password-2,target=password', 'user'],
      ],
      patiently,
    )
    const task = await untilOn('user', h3, (one) => one.ID !== old.ID)
    t.equal(await read(task, 'cat', '/run/secrets/password'), ROTATED)
    t.match(await execInTask(lab.hosts, task, ['cat', '/run/secrets/renamed'], { check: false }), {
      code: 1,
      stderr: /No such file/,
    })
    await eventually(async () => (await inTmpfs(h3)).length === 3, {
      what: 'the old task took its files with it',
      timeoutMs: 60_000,
    })
    await h1.swarmctl(['secret', 'rm', 'password'])
    await isOnNoDisk(t)
    await h1.swarmctl(['service', 'rm', 'user'])
    await untilNothingIn(h3)
    await eventually(async () => (await tasksOf(h1, 'user').catch(() => [])).length === 0, {
      what: 'no task is left',
      timeoutMs: 60_000,
    })
    await h1.swarmctl(['secret', 'rm', 'password-2'])
    await h1.swarmctl(['config', 'rm', 'settings', 'template'])
    t.equal((await h1.swarmctl(['secret', 'ls', '-q'])).stdout, '')
    await isOnNoDisk(t)
  })
})
