import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { nodesByName, serviceOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import type { CommandOptions } from '../support/lab/command.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { untilAnswers } from '../support/lab/waits.ts'

// The Engine API: the unmodified docker CLI on the daemon's socket, at the leader, at a follower and at a worker.

const IMAGE = 'swarmctl-test:1'
const WEB = resolve(import.meta.dirname, '../../examples/web.yml')
const TIMEOUT_MS = 120_000
/** Short enough for a test, long enough that a container that exits at once is noticed. */
const QUICKLY = [
  ...['--no-resolve-image', '--update-monitor', '1s', '--update-parallelism', '0'],
  ...['--rollback-monitor', '1s', '--rollback-parallelism', '0'],
]

/** The status line of an answer to a client that has ended its sending half, as `nc -N` does. */
const answerToHalf = async (host: LabHost, socket: string, path: string): Promise<string> => {
  const script = `
    use IO::Socket::UNIX;
    my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!;
    $socket->send("GET $ARGV[1] HTTP/1.0\\r\\n\\r\\n");
    shutdown($socket, 1);
    print scalar <$socket>;`
  return (await host.exec('perl', ['-e', script, socket, path])).stdout.trim()
}

labTest(t, 'the docker CLI', { hosts: 3 }, async (t, lab) => {
  const [leader, follower, worker] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 2, workers: 1 })
  const managers = [leader, follower]

  for (const host of managers) {
    const role = host === leader ? 'leader' : 'follower'
    const docker = (args: readonly string[], options: CommandOptions = {}) =>
      host.dockerViaSwarmctl(args, { timeoutMs: TIMEOUT_MS, ...options })
    const says = async (...args: string[]) => (await docker(args)).stdout.trim()

    await t.test(`${role}: info, node, swarm`, async (t) => {
      const swarm =
        '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Nodes}} {{.Swarm.Managers}}'
      t.equal(await says('info', '--format', swarm), 'active true 3 2')
      t.match(await says('info'), /Swarm: active\n +NodeID: \w{25}\n +Is Manager: true/)
      t.match(await says('version'), /Server:/)

      const nodes = await nodesByName(host)
      const id = nodes.get(host.name)?.ID
      const ls = await says('node', 'ls')
      t.match(ls, new RegExp(`^${id} \\* +${host.name} +Ready +Active`, 'm'), 'this one')
      t.match(ls, /h1 +Ready +Active +Leader/)
      t.match(ls, /h2 +Ready +Active +Reachable/)
      t.match(ls, /h3 +Ready +Active +\d/)
      t.equal((await says('node', 'ls', '-q')).split('\n').length, 3)
      t.equal(
        await says('node', 'ls', '--filter', 'role=worker', '--format', '{{.Hostname}}'),
        'h3',
      )
      t.equal(await says('node', 'inspect', 'self', '--format', '{{.ID}}'), id)
      t.match(
        await says('node', 'inspect', '--pretty', 'h3'),
        /Hostname:\s+h3\n[\s\S]*Availability:\s+Active/,
      )
      const label = [`of=${role}`, '{{json .Spec.Labels}}'] as const
      t.equal(await says('node', 'update', '--label-add', label[0], 'h3'), 'h3')
      t.equal(await says('node', 'inspect', 'h3', '--format', label[1]), `{"of":"${role}"}`)
      await says('node', 'update', '--label-rm', 'of', '--availability', 'pause', 'h3')
      t.match(await says('node', 'ls'), /h3 +Ready +Pause/)
      await says('node', 'update', '--availability', 'active', 'h3')
      t.match(await docker(['node', 'inspect', 'nobody'], { check: false }), {
        code: 1,
        stderr: /nobody/,
      })

      for (const kind of ['worker', 'manager']) {
        const token = (await leader.swarmctl(['join-token', '-q', kind])).stdout.trim()
        t.equal(await says('swarm', 'join-token', '-q', kind), token)
        t.match(await says('swarm', 'join-token', kind), `docker swarm join --token ${token} `)
      }
      const old = await says('swarm', 'join-token', '-q', 'worker')
      const rotated = await says('swarm', 'join-token', '--rotate', '-q', 'worker')
      t.not(rotated, old)
      t.equal((await leader.swarmctl(['join-token', '-q', 'worker'])).stdout.trim(), rotated)
      t.match(await docker(['swarm', 'init'], { check: false }), {
        code: 1,
        stderr: /already part of a swarm/,
      })
    })

    await t.test(`${role}: secret, config, network`, async (t) => {
      for (const kind of ['secret', 'config']) {
        const id = (
          await docker([kind, 'create', '--label', 'a=1', 'thing', '-'], { input: 'text' })
        ).stdout
        t.match(await says(kind, 'ls'), new RegExp(`^${id.trim()} +thing +`, 'm'))
        t.equal(await says(kind, 'inspect', 'thing', '--format', '{{.ID}}'), id.trim())
        t.equal(await says(kind, 'inspect', 'thing', '--format', '{{.Spec.Labels.a}}'), '1')
        t.match(await docker([kind, 'create', 'thing', '-'], { input: 'x', check: false }), {
          code: 1,
          stderr: /thing.*already exists/,
        })
        t.equal(await says(kind, 'rm', 'thing'), 'thing')
        t.notMatch(await says(kind, 'ls'), /thing/)
      }
      await docker(['config', 'create', 'shown', '-'], { input: 'the data' })
      t.match(await says('config', 'inspect', '--pretty', 'shown'), /the data/)
      await says('config', 'rm', 'shown')

      const id = await says(
        'network',
        'create',
        '-d',
        'overlay',
        '--subnet',
        '10.77.0.0/24',
        'back',
      )
      t.match(
        await says('network', 'ls'),
        new RegExp(`^${id.slice(0, 12)} +back +overlay +swarm`, 'm'),
      )
      t.equal(
        await says(
          ...['network', 'inspect', 'back', '--format'],
          '{{.Driver}} {{.Scope}} {{(index .IPAM.Config 0).Subnet}}',
        ),
        'overlay swarm 10.77.0.0/24',
      )
      t.match(await docker(['network', 'create', '-d', 'overlay', 'back'], { check: false }), {
        code: 1,
        stderr: /back/,
      })
      t.equal(await says('network', 'rm', 'back'), 'back')
      await says('network', 'create', 'of-the-engine')
      t.match(await says('network', 'ls'), /of-the-engine +bridge +local/)
      t.match((await host.docker(['network', 'ls'])).stdout, /of-the-engine/)
      await says('network', 'rm', 'of-the-engine')
    })

    await t.test(`${role}: every verb of service`, async (t) => {
      await says('network', 'create', '-d', 'overlay', 'shop')
      await docker(['secret', 'create', 'key', '-'], { input: 'hidden' })
      const created = await says(
        ...['service', 'create', '--name', 'web', '--replicas', '3', '--publish', '8080:80'],
        ...['--network', 'shop', '--secret', 'key', '--env', 'A=1', ...QUICKLY, IMAGE],
      )
      t.match(created, /^\w{25}\n/)
      t.match(created, /3 out of 3 tasks/)
      t.match(created, /verify: Service \w{25} converged$/)
      const id = (await serviceOf(leader, 'web')).ID
      t.equal(created.split('\n')[0], id)
      await untilRunning(leader, 'web', 3)
      t.match(
        await says('service', 'ls'),
        /web +replicated +3\/3 +swarmctl-test:1 +\*:8080->80\/tcp/,
      )
      t.equal(await says('service', 'ls', '-q', '--filter', 'name=web'), id.slice(0, 12))
      const ps = await says('service', 'ps', 'web')
      for (const one of lab.hosts)
        t.match(ps, new RegExp(`web\\.\\d +\\S+ +${one.name} +Running +Running`))
      const inspected = JSON.parse(await says('service', 'inspect', 'web'))
      t.match(inspected[0].Spec, { Name: 'web', Mode: { Replicated: { Replicas: 3 } } })
      const pretty = await says('service', 'inspect', '--pretty', 'web')
      t.match(pretty, /Name:\s+web[\s\S]*Replicas:\s+3[\s\S]*Image:\s+swarmctl-test:1/)
      t.ok(await untilAnswers(worker, `http://${worker.ip}:8080`, /"version":"1"/))

      const image = [
        'service',
        'inspect',
        'web',
        '--format',
        '{{.Spec.TaskTemplate.ContainerSpec.Image}}',
      ]
      const updated = await says(
        ...['service', 'update', '--no-resolve-image', '--image', 'swarmctl-test:2'],
        ...['--env-add', 'B=2', '--env-rm', 'A', '--secret-rm', 'key', 'web'],
      )
      t.match(updated, /^web\n[\s\S]*converged$/)
      t.equal(await says(...image), 'swarmctl-test:2')
      t.match(await says('service', 'scale', 'web=4'), /^web scaled to 4\n[\s\S]*4 out of 4 tasks/)
      t.equal((await untilRunning(leader, 'web', 4)).length, 4)
      const rolledBack = await says('service', 'rollback', 'web')
      t.match(rolledBack, /^web\n/)
      t.equal(
        await says('service', 'inspect', 'web', '--format', '{{.Spec.Mode.Replicated.Replicas}}'),
        '3',
      )

      const logs = await eventually(
        async () => {
          const text = await says('service', 'logs', 'web')
          return /started version=2/.test(text) && text
        },
        { what: 'the lines of the tasks', timeoutMs: 60_000 },
      )
      t.match(logs, /^web\.\d\.\w+@h\d +\| started version=2 host=\w+$/m)
      const tail = await says('service', 'logs', '--raw', '--tail', '1', '--timestamps', 'web')
      t.match(tail, /^\d{4}-\d\d-\d\dT\S+Z \S/m)

      for (const [args, words] of [
        [['service', 'create', '--name', 'web', IMAGE], /web.*already exists/],
        [['service', 'create', '--publish', '8080:80', IMAGE], /8080/],
        [['service', 'create', '--network', 'nowhere', IMAGE], /nowhere/],
        [['service', 'ps', 'nobody'], /nobody/],
        [['service', 'update', '--image', IMAGE, 'nobody'], /nobody/],
        [['secret', 'rm', 'nothing'], /nothing/],
        [['network', 'rm', 'shop'], /in use/],
      ] as const) {
        const refused = await docker(args, { check: false })
        t.equal(refused.code, 1, args.join(' '))
        t.match(refused.stderr, words)
      }
      t.equal(await says('service', 'rm', 'web'), 'web')
      t.equal(await says('service', 'ls', '-q'), '')
      await says('secret', 'rm', 'key')
      // As with Swarm, a network is in use until the last task has gone.
      await eventually(async () => (await docker(['network', 'rm', 'shop'])).code === 0, {
        what: 'the network is removed',
        timeoutMs: 60_000,
      })
    })

    await t.test(`${role}: stack`, async (t) => {
      const override = join(host.dir, 'override.yml')
      writeFileSync(
        override,
        'services: { web: { deploy: { update_config: { parallelism: 0, monitor: 1s } } } }',
      )
      const deploy = (version: string) =>
        docker(
          [
            ...['stack', 'deploy', '--detach=false', '--resolve-image', 'never'],
            ...['-c', WEB, '-c', override, 'site'],
          ],
          { env: { WEB_IMAGE: `swarmctl-test:${version}` } },
        )
      const { stdout } = await deploy('1')
      t.match(stdout, /Creating network site_default\nCreating service site_web/)
      const before = await untilRunning(leader, 'site_web', 3)
      t.match(await says('stack', 'ls'), /^site +1$/m)
      t.match(await says('stack', 'ps', 'site'), /site_web\.1 +swarmctl-test:1 +h\d +Running/)
      t.match(
        await says('stack', 'services', 'site'),
        /site_web +replicated +3\/3 +swarmctl-test:1/,
      )
      t.match((await leader.swarmctl(['stack', 'ls'])).stdout, /^site +1$/m, 'the same to our CLI')
      await deploy('1')
      const after = await untilRunning(leader, 'site_web', 3)
      t.strictSame(after.map(({ ID }) => ID).sort(), before.map(({ ID }) => ID).sort())
      await deploy('2')
      const [changed] = await untilRunning(leader, 'site_web', 3)
      t.equal(changed?.Spec.ContainerSpec?.Image, 'swarmctl-test:2')
      await docker(['stack', 'rm', '--detach=false', 'site'])
      t.equal(await says('stack', 'ls', '--format', '{{.Name}}'), '')
      await eventually(async () => !/site_default/.test(await says('network', 'ls')), {
        what: "the stack's network is removed",
      })
    })
  }

  for (const host of [leader, follower, worker]) {
    await t.test(`${host.name}: the local Engine through the same socket`, async (t) => {
      const docker = (args: readonly string[], options: CommandOptions = {}) =>
        host.dockerViaSwarmctl(args, { timeoutMs: TIMEOUT_MS, ...options })
      t.match((await docker(['images'])).stdout, /swarmctl-test +health/)
      const run = ['run', '--rm', '--network', 'none']
      t.equal((await docker([...run, IMAGE, 'echo', 'said inside'])).stdout, 'said inside\n')
      t.equal((await docker([...run, '-i', IMAGE, 'cat'], { input: 'piped\n' })).stdout, 'piped\n')
      t.match(
        await docker([...run, IMAGE, 'sh', '-c', 'echo out; echo err >&2; exit 7'], {
          check: false,
        }),
        { code: 7, stdout: 'out\n', stderr: 'err\n' },
      )
      const start = ['run', '-d', '--network', 'none', '--name', 'own', IMAGE]
      const id = (await docker(start)).stdout.trim()
      t.equal((await docker(['ps', '-q', '--no-trunc', '--filter', 'name=own'])).stdout.trim(), id)
      t.match((await host.docker(['ps'])).stdout, /own$/m, 'it is the Engine of this host')
      const large = 'x'.repeat(1 << 20)
      const piped = await docker(['exec', '-i', 'own', 'sh', '-c', 'cat; echo end'], {
        input: large,
      })
      t.ok(piped.stdout === `${large}end\n`, 'a mebibyte in and out, with its end')
      t.equal((await docker(['exec', 'own', 'false'], { check: false })).code, 1)
      t.match((await docker(['logs', 'own'])).stdout, /started version=1/)
      t.match((await docker(['rm', '-f', 'own'])).stdout, 'own')
      t.match(await docker(['run', '--rm', 'swarmctl-test:none'], { check: false }), { code: 125 })
      for (const path of ['/_ping', '/images/json', '/networks', '/containers/nope/json']) {
        const answer = await answerToHalf(host, host.swarmctlSocket, path)
        t.match(answer, / (?:200 OK|404 Not Found)$/)
        t.equal(
          answer.replace(/^\S+/, ''),
          (await answerToHalf(host, host.dockerSocket, path)).replace(/^\S+/, ''),
          `${path}, as from the Engine`,
        )
      }
    })
  }

  await t.test('a worker refuses what is for managers and changes nothing', async (t) => {
    const docker = (...args: string[]) =>
      worker.dockerViaSwarmctl(args, { check: false, input: 'x' })
    for (const args of [
      ['node', 'ls'],
      ['node', 'update', '--availability', 'drain', 'h1'],
      ['service', 'ls'],
      ['service', 'create', '--no-resolve-image', IMAGE],
      ['secret', 'create', 'nothing', '-'],
      ['config', 'ls'],
      ['network', 'create', '-d', 'overlay', 'nothing'],
      ['stack', 'deploy', '-c', WEB, 'nothing'],
      ['stack', 'ls'],
      ['swarm', 'join-token', 'worker'],
    ]) {
      const refused = await docker(...args)
      t.equal(refused.code, 1, args.join(' '))
      t.match(refused.stderr, /not a swarm manager|from a worker node/i)
    }
    const format = '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'
    t.equal((await docker('info', '--format', format)).stdout.trim(), 'active false')
    const left = await leader.dockerViaSwarmctl(['network', 'ls'])
    t.notMatch(left.stdout, /nothing/)
    t.equal((await leader.dockerViaSwarmctl(['service', 'ls', '-q'])).stdout, '')
    t.equal((await leader.dockerViaSwarmctl(['secret', 'ls', '-q'])).stdout, '')
  })
})
