import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Task } from '../../src/api/task.ts'
import {
  execInTask,
  inspectTask,
  nodesByName,
  serviceOf,
  tasksOf,
  untilRunning,
} from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { INSECURE_REGISTRY, startRegistry } from '../support/lab/registry.ts'
import { untilAnswers, untilAnswersInTask } from '../support/lab/waits.ts'

// Services: every verb and flag of `service`; what a flag says is read back from the container.

const IMAGE = 'swarmctl-test:1'
const CREATE = ['service', 'create', '--quiet', '--no-resolve-image', '--update-monitor', '1s']
/** Bits of a capability set (capabilities(7)). */
const CAP_CHOWN = 0n
const CAP_NET_ADMIN = 12n

const withinMinutes = { timeoutMs: 120_000 }

labTest(t, 'services', { hosts: 3, engineArgs: INSECURE_REGISTRY }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 2, workers: 1 })
  const sh = async (task: Task, script: string, user = '65534:65534') => {
    const { host, container } = await inspectTask(lab.hosts, task)
    const args = ['exec', '-u', user, container.Id, 'sh', '-c', script]
    const { code, stdout, stderr } = await host.docker(args, { check: false })
    return { code, text: stdout.trim(), stderr }
  }
  /** The only running task that has the image; older ones are gone. */
  const untilOne = (service: string, isIt: (task: Task) => boolean): Promise<Task> =>
    eventually(
      async () => {
        const [task, ...others] = await untilRunning(h1, service, 1)
        return others.length === 0 && task && isIt(task) ? task : undefined
      },
      { what: `the new task of ${service}`, timeoutMs: 60_000 },
    )

  await t.test('what the flags of create say is in the container', async (t) => {
    const bind = join(h2.dir, 'bind')
    mkdirSync(bind)
    writeFileSync(join(bind, 'file'), 'from the host')
    await h1.swarmctl(['network', 'create', 'back'])
    await h1.swarmctl(['secret', 'create', 'key', '-'], { input: 'hidden' })
    await h1.swarmctl(['config', 'create', 'settings', '-'], { input: 'a=1' })
    const { stdout } = await h1.swarmctl(
      [
        ...['service', 'create', '--detach', '--no-resolve-image', '--name', 'flags'],
        ...['--mode', 'replicated', '--replicas', '1', '--constraint', 'node.hostname==h2'],
        ...['--replicas-max-per-node', '1', '--placement-pref', 'spread=node.labels.zone'],
        ...['--publish', '8081:80', '--publish', 'published=8084,target=80,mode=ingress'],
        ...['--publish', 'published=8082,target=80,protocol=tcp,mode=host'],
        ...['--env', 'A=1', '--env', 'NAME={{.Service.Name}}', '--env', 'FROM_HERE'],
        ...['--label', 'of=service', '--container-label', 'of=container'],
        ...['--limit-cpu', '0.5', '--limit-memory', '96M', '--limit-pids', '50'],
        ...['--reserve-cpu', '0.1', '--reserve-memory', '32M'],
        ...['--restart-condition', 'on-failure', '--restart-delay', '2s'],
        ...['--restart-max-attempts', '4', '--restart-window', '1m'],
        ...['--update-parallelism', '2', '--update-delay', '1s', '--update-monitor', '1s'],
        ...['--update-failure-action', 'continue', '--update-order', 'stop-first'],
        ...['--update-max-failure-ratio', '0.3', '--rollback-parallelism', '3'],
        ...['--rollback-order', 'start-first', '--rollback-monitor', '1s'],
        ...['--health-cmd', 'test -e /etc/passwd', '--health-interval', '1s'],
        ...['--health-timeout', '9s', '--health-retries', '4', '--health-start-period', '7s'],
        ...['--mount', `type=bind,source=${bind},target=/bound,readonly`],
        ...['--mount', 'type=volume,source=data,target=/data,volume-label=of=volume'],
        ...['--mount', 'type=tmpfs,target=/scratch,tmpfs-size=1M,tmpfs-mode=1777'],
        ...['--network', 'name=back,alias=front'],
        ...['--secret', 'source=key,target=the-key,uid=65534,gid=65534,mode=0400'],
        ...['--config', 'source=settings,target=/etc/settings,mode=0440,gid=65534'],
        ...['--user', '65534:65534', '--workdir', '/tmp', '--hostname', 'slot-{{.Task.Slot}}'],
        ...['--host', 'db:192.0.2.3', '--dns', '192.0.2.5', '--dns-search', 'example.org'],
        ...['--init', '--stop-signal', 'SIGINT', '--stop-grace-period', '7s', '--read-only'],
        ...['--cap-add', 'NET_ADMIN', '--cap-drop', 'CHOWN', '--ulimit', 'nofile=1234:2345'],
        ...['--sysctl', 'net.core.somaxconn=321', '--tty'],
        ...['--log-driver', 'json-file', '--log-opt', 'max-size=1m', '--log-opt', 'max-file=2'],
        ...[IMAGE, '/serve', 'an argument'],
      ],
      { env: { FROM_HERE: 'yes' } },
    )
    const service = await serviceOf(h1, 'flags')
    t.equal(stdout.trim(), service.ID, '--detach prints the id')
    const [task] = (await untilRunning(h1, 'flags', 1)) as [Task]
    const { host, container } = await inspectTask(lab.hosts, task)

    t.equal(host.name, 'h2', '--constraint')
    t.equal(container.Name, `/flags.1.${task.ID}`, '--name')
    t.strictSame(container.Config.Cmd, ['/serve', 'an argument'])
    t.equal(container.Config.Labels.of, 'container')
    t.equal(container.Config.Labels['com.docker.swarm.service.name'], 'flags')
    t.equal(container.Config.StopSignal, 'SIGINT')
    t.equal(container.Config.StopTimeout, 7)
    t.equal(container.Config.Tty, true)
    t.match(container.Config.Healthcheck, {
      Test: ['CMD-SHELL', 'test -e /etc/passwd'],
      ...{ Interval: 1e9, Timeout: 9e9, Retries: 4, StartPeriod: 7e9 },
    })
    t.equal(container.State.Health?.Status, 'healthy')
    t.match(container.HostConfig, {
      ...{ NanoCpus: 0.5e9, Memory: 96 << 20, PidsLimit: 50, MemoryReservation: 32 << 20 },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '2' } },
    })
    t.ok((container.HostConfig.Dns as string[]).includes('192.0.2.5'), '--dns')
    const volume = (await h2.engineRequest('/volumes/data')).json<{ Labels: object }>()
    t.strictSame(volume.Labels, { of: 'volume' })

    const read = (script: string) => sh(task, script).then(({ text }) => text)
    t.equal(await read('echo $A $NAME $FROM_HERE'), '1 flags yes')
    t.equal(await read('pwd; id -u; id -g; hostname'), '/tmp\n65534\n65534\nslot-1')
    t.match(await read('grep db /etc/hosts'), /^192\.0\.2\.3\s+db$/)
    t.match(await read('cat /etc/resolv.conf'), /example\.org/)
    t.match(await read('cat /proc/1/comm'), /init/)
    t.equal(await read('readlink /proc/1/fd/1'), '/dev/pts/0')
    t.match(await sh(task, 'touch /x', '0'), { code: 1, stderr: /Read-only file system/ })
    t.match(await sh(task, 'touch /bound/x', '0'), { code: 1, stderr: /Read-only file system/ })
    t.equal(await read('cat /bound/file'), 'from the host')
    t.match(await sh(task, 'touch /data/x && mount | grep " /data "', '0'), { code: 0 })
    t.match(await read('mount | grep " /scratch "'), /tmpfs .*size=1024k/)
    t.equal(await read('stat -c %a /scratch'), '1777')
    const capabilities = BigInt(`0x${await read("awk '/CapBnd/ { print $2 }' /proc/1/status")}`)
    t.equal((capabilities >> CAP_NET_ADMIN) & 1n, 1n, '--cap-add')
    t.equal((capabilities >> CAP_CHOWN) & 1n, 0n, '--cap-drop')
    t.match(await read('grep "open files" /proc/1/limits'), /1234 +2345/)
    t.equal(await read('cat /proc/sys/net/core/somaxconn'), '321')
    t.equal(
      await read('cat /run/secrets/the-key; stat -c " %a %u %g" /run/secrets/the-key'),
      'hidden 400 65534 65534',
    )
    t.equal(await read('cat /etc/settings; stat -c " %a %u %g" /etc/settings'), 'a=1 440 0 65534')

    const asks = (url: string, from = h1) =>
      from.exec('curl', ['-s', '-m', '5', url], { check: false }).then(({ stdout }) => stdout)
    const own = /"host":"slot-1"/
    t.ok(await untilAnswersInTask(lab.hosts, task, 'http://front/', own), 'alias in the network')
    for (const url of [`http://${h1.ip}:8081`, `http://${h3.ip}:8084`, `http://${h2.ip}:8082`]) {
      t.ok(await untilAnswers(h1, url, own), url)
    }
    t.equal(await asks(`http://${h1.ip}:8082`), '', 'mode=host answers on its own node alone')

    t.match(service.Spec, {
      Labels: { of: 'service' },
      TaskTemplate: {
        RestartPolicy: { Condition: 'on-failure', Delay: 2e9, MaxAttempts: 4, Window: 60e9 },
        Placement: {
          MaxReplicas: 1,
          Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
        },
      },
      UpdateConfig: { Parallelism: 2, Delay: 1e9, FailureAction: 'continue', MaxFailureRatio: 0.3 },
      RollbackConfig: { Parallelism: 3, Order: 'start-first', Monitor: 1e9 },
    })
  })

  await t.test('what update changes, adds and removes is in the container', async (t) => {
    const before = await untilOne('flags', () => true)
    const update = ['service', 'update', '--quiet', '--no-resolve-image']
    const { code } = await h1.swarmctl(
      [
        ...[...update, '--image', 'swarmctl-test:2', '--args', '/serve "two words"'],
        ...['--env-add', 'B=2', '--env-rm', 'A', '--container-label-add', 'of=update'],
        ...['--label-rm', 'of', '--label-add', 'now=2', '--hostname', 'renamed'],
        ...['--limit-memory', '80M', '--mount-rm', '/scratch', '--secret-rm', 'key'],
        ...[
          '--mount-add',
          'type=tmpfs,target=/other',
          '--host-rm',
          'db',
          '--host-add',
          'x:192.0.2.4',
        ],
        ...[
          '--publish-rm',
          '80',
          '--publish-add',
          '8085:80',
          '--user',
          '0',
          '--cap-drop',
          'NET_ADMIN',
        ],
        ...['--ulimit-rm', 'nofile', '--sysctl-add', 'net.core.somaxconn=99', '--init=false'],
        ...['--no-healthcheck', '--stop-grace-period', '3s', '--config-rm', 'settings', 'flags'],
      ],
      withinMinutes,
    )
    t.equal(code, 0)
    const task = await untilOne('flags', (one) => one.ID !== before.ID)
    const { container } = await inspectTask(lab.hosts, task)
    t.match(container.Config, { Image: 'swarmctl-test:2', Cmd: ['/serve', 'two words'] })
    t.match(container.Config, { StopTimeout: 3, Hostname: 'renamed' })
    t.equal(container.Config.Labels.of, 'update')
    t.equal(container.HostConfig.Memory, 80 << 20)
    t.notOk(container.State.Health?.Status === 'healthy', '--no-healthcheck')
    const read = (script: string) => sh(task, script, '0').then(({ text }) => text)
    t.equal(await read('printenv A; echo $B; id -u'), '2\n0')
    t.notMatch(await read('mount'), / \/scratch /)
    t.match(await read('mount'), /tmpfs on \/other /)
    t.match(await read('ls /run/secrets/ /etc/settings 2>&1'), /settings: No such file/)
    t.notMatch(await read('ls /run/secrets 2>&1'), /^the-key$/m)
    t.match(await read('cat /etc/hosts'), /192\.0\.2\.4\s+x/)
    t.notMatch(await read('cat /etc/hosts'), /192\.0\.2\.3/)
    t.equal(await read('cat /proc/sys/net/core/somaxconn'), '99')
    t.notMatch(await read('cat /proc/1/comm'), /init/)
    t.notMatch(await read('grep "open files" /proc/1/limits'), /1234/)
    const capabilities = BigInt(`0x${await read("awk '/CapBnd/ { print $2 }' /proc/1/status")}`)
    t.equal((capabilities >> CAP_NET_ADMIN) & 1n, 0n)
    t.ok(await untilAnswers(h3, `http://${h3.ip}:8085`, /"version":"2".*"host":"renamed"/))
    const former = ['-s', '-m', '2', `http://${h3.ip}:8081`]
    await eventually(async () => (await h3.exec('curl', former, { check: false })).code !== 0, {
      what: 'the port of before is not served any more',
    })
    t.strictSame((await serviceOf(h1, 'flags')).Spec.Labels, { now: '2' })

    await h1.swarmctl([...update, '--force', 'flags'], withinMinutes)
    const forced = await untilOne('flags', (one) => one.ID !== task.ID)
    t.strictSame(
      forced.Spec.ContainerSpec,
      task.Spec.ContainerSpec,
      '--force replaces and changes nothing',
    )
    await h1.swarmctl(['service', 'rm', 'flags'])
    await eventually(async () => (await h2.docker(['ps', '-aq'])).stdout.trim() === '', {
      what: 'no container is left',
      timeoutMs: 60_000,
    })
  })

  await t.test('create, ls, ps, inspect, scale, rollback: attached, with progress', async (t) => {
    const attached = ['--no-resolve-image', '--update-monitor', '1s', '--replicas', '3']
    const created = await h2.swarmctl(
      ['service', 'create', '--name', 'web', '--publish', '8090:80', ...attached, IMAGE],
      withinMinutes,
    )
    const service = await serviceOf(h1, 'web')
    t.equal(created.stdout.split('\n')[0], service.ID)
    t.match(created.stdout, /overall progress: 0 out of 3 tasks/)
    t.match(created.stdout, /overall progress: 3 out of 3 tasks/)
    t.match(created.stdout, /converged\n$/)
    await h1.swarmctl([...CREATE, '--name', 'agent', '--mode', 'global', IMAGE], withinMinutes)

    const agents = await untilRunning(h1, 'agent', 3)
    t.equal(new Set(agents.map((task) => task.NodeID)).size, 3, 'one on every node')
    const web = await untilRunning(h1, 'web', 3)
    t.equal(new Set(web.map((task) => task.NodeID)).size, 3, 'spread')
    for (const host of [h1, h2]) {
      const { stdout } = await host.swarmctl(['service', 'ls'])
      t.match(stdout, /web +replicated +3\/3 +swarmctl-test:1 +\*:8090->80\/tcp/, host.name)
      t.match(stdout, /agent +global +3\/3 +swarmctl-test:1/)
    }
    const quiet = await h1.swarmctl(['service', 'ls', '-q', '--filter', 'mode=global'])
    t.equal(quiet.stdout.trim(), (await serviceOf(h1, 'agent')).ID)
    const ps = (await h2.swarmctl(['service', 'ps', 'web'])).stdout
    for (const host of lab.hosts)
      t.match(ps, new RegExp(`web\\.\\d +\\S+ +${host.name} +Running +Running`))
    const inspected = JSON.parse((await h1.swarmctl(['service', 'inspect', 'web'])).stdout)
    t.match(inspected[0], { ID: service.ID, Spec: { Name: 'web' } })
    const format = ['--format', '{{.Spec.Mode.Replicated.Replicas}}', 'web']
    t.equal((await h1.swarmctl(['service', 'inspect', ...format])).stdout.trim(), '3')

    const scaled = await h1.swarmctl(['service', 'scale', 'web=5', 'agent=2'], { check: false })
    t.not(scaled.code, 0, 'a global service is not scaled')
    t.match(scaled.stderr, /agent.*replicated/)
    t.match(
      (await h1.swarmctl(['service', 'scale', 'web=4'], withinMinutes)).stdout,
      /web scaled to 4[\s\S]*4 out of 4/,
    )
    const parallel = ['--update-parallelism', '0', '--rollback-parallelism', '0']
    const update = ['service', 'update', '--no-resolve-image', ...parallel]
    await h1.swarmctl(
      [...update, '--image', 'swarmctl-test:2', '--rollback-monitor', '1s', 'web'],
      withinMinutes,
    )
    t.match((await h1.swarmctl(['service', 'ls'])).stdout, /web +replicated +4\/4 +swarmctl-test:2/)
    const back = await h2.swarmctl(['service', 'rollback', 'web'], {
      ...withinMinutes,
      check: false,
    })
    t.equal((await serviceOf(h1, 'web')).Spec.TaskTemplate.ContainerSpec?.Image, IMAGE)
    t.equal(back.code, 0, `a rollback that was asked for is a success: ${back.stderr}`)
    t.match(
      (await h1.swarmctl(['service', 'ps', 'web'])).stdout,
      /\\_ web\.1 +swarmctl-test:2 +\S+ +Shutdown/,
    )
  })

  await t.test('on a terminal the progress is drawn in place', async (t) => {
    const command = `stty cols 100 rows 40; SWARMCTL_HOST=unix://${h1.swarmctlSocket} ${h1.swarmctlCommand.join(' ')} service update --force --update-parallelism 0 web`
    const { stdout } = await h1.exec('script', ['-qec', command, '/dev/null'], withinMinutes)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: cursor movements are what is looked for
    t.match(stdout, /\u001b\[/)
    t.match(stdout, /1\/4: running +\[=+>\]/)
  })

  await t.test('the exit code says whether it converged', async (t) => {
    const run = (args: string[]) => h1.swarmctl(args, { check: false, timeoutMs: 120_000 })
    const bad = await run([
      ...CREATE,
      '--name',
      'bad',
      '--restart-condition',
      'none',
      'swarmctl-test:bad',
    ])
    t.equal(bad.code, 1)
    t.match(bad.stderr, /not restarted.*exit/i)
    const missing = await run([
      ...[...CREATE, '--name', 'missing', '--wait-limit', '8s'],
      'no-such-image.invalid/x:1',
    ])
    t.equal(missing.code, 1)
    t.match(missing.stderr, /missing did not converge within 8s.*image/)
    t.match(
      (await run(['service', 'ps', '--no-trunc', 'missing'])).stdout,
      /Rejected.*no-such-image\.invalid/,
    )
    const paused = await run([
      ...['service', 'update', '--no-resolve-image', '--image', 'swarmctl-test:bad', 'web'],
    ])
    t.equal(paused.code, 1)
    t.match(paused.stderr, /update paused/)
    const detached = await run(['service', 'update', '-d', '--rollback', 'web'])
    t.equal(detached.code, 0)
    await eventually(
      async () => (await serviceOf(h1, 'web')).UpdateStatus?.State === 'rollback_completed',
      {
        what: 'web is rolled back',
        timeoutMs: 120_000,
      },
    )
    t.equal((await run(['service', 'rm', 'bad', 'missing', 'nobody'])).code, 1)
    t.notMatch((await run(['service', 'ls'])).stdout, /bad|missing/)
    for (const [args, words] of [
      [['service', 'create', '--network', 'nowhere', IMAGE], /nowhere/],
      [['service', 'create', '--secret', 'nothing', IMAGE], /nothing/],
      [['service', 'create', '--name', 'twice', '--publish', '8090:80', IMAGE], /8090/],
      [['service', 'create', '--name', 'web', IMAGE], /web/],
      [['service', 'create', '--limit-cpu', '-1', IMAGE], /cpu/],
      [['service', 'ps', 'nobody'], /nobody/],
    ] as const) {
      const refused = await run([...args.slice(0, 2), ...args.slice(2)])
      t.equal(refused.code, 1, args.join(' '))
      t.match(refused.stderr, words)
    }
    const worker = await h3.swarmctl(['service', 'ls'], { check: false })
    t.match(worker, { code: 1, stderr: /not a swarm manager/ })
  })

  await t.test('logs of all tasks, asked at any manager', async (t) => {
    await h1.swarmctl([...CREATE, '--name', 'talk', '--replicas', '3', IMAGE], withinMinutes)
    const tasks = await untilRunning(h1, 'talk', 3)
    const say = (task: Task, text: string, stream = 'stdout') =>
      execInTask(lab.hosts, task, [
        'curl',
        '-s',
        `http://127.0.0.1/log?text=${text}&stream=${stream}`,
      ])
    const logs = async (host: LabHost, ...args: string[]) =>
      (await host.swarmctl(['service', 'logs', ...args])).stdout.trimEnd().split('\n')
    const names = new Map([...(await nodesByName(h1))].map(([name, node]) => [node.ID, name]))
    for (const host of [h1, h2]) {
      const lines = await eventually(
        async () => {
          const found = await logs(host, 'talk')
          return found.length === 3 && found
        },
        { what: `three lines, asked at ${host.name}` },
      )
      for (const task of tasks) {
        const name = `talk.${task.Slot}.${task.ID.slice(0, 12)}@${names.get(task.NodeID)}`
        const own = lines.filter((line) => line.startsWith(name))
        t.match(own, [/\| started version=1/], `${name}, asked at ${host.name}`)
      }
    }
    for (const task of tasks) await say(task, 'one')
    t.match(await logs(h2, '--tail', '1', 'talk'), [/one$/, /one$/, /one$/])
    const stamped = await logs(h1, '--timestamps', 'talk')
    t.equal(stamped.length, 6)
    for (const line of stamped) t.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z talk\./)
    const ones = stamped.filter((line) => line.endsWith('one')).sort()
    const sinceTime = (ones[0] as string).split(' ')[0] as string
    t.equal((await logs(h1, '--since', sinceTime, 'talk')).length, 3)
    t.equal((await logs(h1, '--since', '10m', 'talk')).length, 6)
    t.strictSame(await logs(h1, '--raw', '--tail', '1', tasks[0]?.ID as string), ['one'])

    const follower = await h2.spawnSwarmctl(['service', 'logs', '--follow', '--tail', '0', 'talk'])
    await eventually(
      async () => {
        for (const task of tasks) await say(task, 'live')
        return tasks.every((task) => follower.log().includes(`talk.${task.Slot}.`))
      },
      { what: 'lines of every task while following', timeoutMs: 60_000, intervalMs: 500 },
    )
    t.notMatch(follower.log(), /one$/m)
    await h1.swarmctl(['service', 'scale', '-q', 'talk=4'], withinMinutes)
    await eventually(() => /talk\.4\.\S+ +\| started version=1/.test(follower.log()), {
      what: 'the log of a task that began meanwhile',
      timeoutMs: 60_000,
    })
    t.ok(follower.isRunning)
    await follower.stop()
    await say(tasks[0] as Task, 'error', 'stderr')
    const separate = await eventually(
      async () => {
        const result = await h1.swarmctl(['service', 'logs', '--tail', '1', tasks[0]?.ID as string])
        return result.stderr.includes('error') && result
      },
      { what: 'the line of stderr' },
    )
    t.notMatch(separate.stdout, /error/)
    await h1.swarmctl(['service', 'rm', 'talk', 'web', 'agent'])
  })

  await t.test(
    '--with-registry-auth: the nodes pull with the credentials of the CLI',
    async (t) => {
      const registry = await startRegistry(h1, 'anna:word')
      const create = (name: string, ...args: string[]) =>
        h1.swarmctl(
          [
            ...[
              'service',
              'create',
              '-q',
              '--wait-limit',
              '60s',
              '--update-monitor',
              '1s',
              '--name',
              name,
            ],
            ...args,
            '--constraint',
            'node.hostname==h3',
            registry.image,
          ],
          { check: false, timeoutMs: 120_000 },
        )
      const plain = await create('plain', '--wait-limit', '8s')
      t.equal(plain.code, 1)
      t.match(plain.stderr, /could not be accessed/)
      t.match((await tasksOf(h1, 'plain'))[0]?.Status.Err, /private/)
      await h1.swarmctl(['service', 'rm', 'plain'])
      t.notMatch(registry.process.log(), /anna/)

      mkdirSync(join(h1.dir, 'docker-config'), { recursive: true })
      const auths = { [registry.name]: { auth: Buffer.from('anna:word').toString('base64') } }
      writeFileSync(join(h1.dir, 'docker-config/config.json'), JSON.stringify({ auths }))
      const { code, stderr } = await create('private', '--with-registry-auth')
      t.equal(code, 0, stderr)
      const [task] = (await untilRunning(h1, 'private', 1)) as [Task]
      t.match(
        task.Spec.ContainerSpec?.Image,
        /\/private:1@sha256:[0-9a-f]{64}$/,
        'the digest is recorded',
      )
      t.match(registry.process.log(), /^anna GET \/v2\/private\/manifests/m)
      const { host, container } = await inspectTask(lab.hosts, task)
      t.equal(host.name, 'h3')
      t.match(container.Config.Image, /\/private:1@sha256:/)
      t.notMatch(JSON.stringify(await serviceOf(h1, 'private')), /anna|word/)
    },
  )
})
