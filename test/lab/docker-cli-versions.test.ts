import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nodesByName, serviceOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import type { CommandOptions, CommandResult } from '../support/lab/command.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// The Engine API: a day's work with each docker CLI on this machine, Debian's (20.10) and, where
// there is one, a newer: they send and expect different things. docker-cli.test.ts has every verb, at every kind of node.

const DEBIAN = '/usr/bin/docker'
const NEWER = '/usr/local/bin/docker'
const COMMAND_TIMEOUT_MS = 120_000
/** Attached commands watch new tasks this long. */
const MONITOR = ['--update-monitor', '1s', '--rollback-monitor', '1s']

const STACK = `
version: "3.8"
services:
  web:
    image: swarmctl-test:1
    ports: ["8091:80"]
    secrets: [password]
    configs: [page]
    networks: [inner]
    deploy: {replicas: 2}
networks:
  inner:
secrets:
  password: {file: ./password}
configs:
  page: {file: ./page}
`

/** A docker CLI at one host's socket. */
type Docker = (args: string | readonly string[], options?: CommandOptions) => Promise<CommandResult>

const cliAt =
  (program: string, host: LabHost): Docker =>
  (args, options = {}) =>
    host.exec(
      program,
      [
        '-H',
        `unix://${host.swarmctlSocket}`,
        ...(typeof args === 'string' ? args.split(' ') : args),
      ],
      {
        timeoutMs: COMMAND_TIMEOUT_MS,
        ...options,
        env: { DOCKER_CONFIG: join(host.dir, 'docker-config'), ...options.env },
      },
    )

const services = async (t: Test, docker: Docker, h1: LabHost): Promise<void> => {
  await docker('network create -d overlay --attachable back')
  const options = '--name web --replicas 2 --publish 8090:80 --network back --env A=1 --label x=y'
  const create = ['service', 'create', ...options.split(' '), ...MONITOR, 'swarmctl-test:1']
  const created = await docker(create)
  t.match(created.stdout, /converged/i, 'attached: it waited')
  t.match(created.stderr, /could not be accessed on a registry/, 'no digest is known here')
  const url = `http://${h1.ip}:8090/`
  const get = async (path = '') => (await h1.exec('curl', ['-sf', `${url}${path}`])).stdout
  t.match(await get(), '"version":"1"')
  t.match(
    (await docker('service ls')).stdout,
    /web +replicated +2\/2 +swarmctl-test:1 +\*:8090->80\/tcp/,
  )
  t.match((await docker('service ps web')).stdout, /web\.1 +swarmctl-test:1 +h\d +Running +Running/)
  t.match((await docker('service inspect --pretty web')).stdout, /Replicas:\s+2/)

  const update = 'service update --image swarmctl-test:2 --env-add B=2 --limit-memory 64M web'
  t.match((await docker(update)).stdout, /converged/i)
  t.match(await get(), '"version":"2"')
  t.match(await get('env'), /^B=2$/m)
  t.match((await docker('service rollback web')).stdout, /converged/i)
  t.match(await get(), '"version":"1"')
  t.match((await docker('service scale web=3')).stdout, /converged/i)
  await get('log?text=hello')
  await eventually(
    async () => /web\.\d.*\| hello/.test((await docker('service logs web')).stdout),
    { what: 'the line is in the logs of the service' },
  )
  await docker('service update --detach --replicas 1 --publish-rm 80 web')
  await untilRunning(h1, 'web', 1)
  t.equal((await serviceOf(h1, 'web')).Spec.EndpointSpec?.Ports?.length ?? 0, 0)
  t.match(await docker('network rm back', { check: false }), { code: 1, stderr: /in use/ })
  t.equal((await docker('service rm web')).stdout, 'web\n')
  const gone = await docker('service inspect web', { check: false })
  t.match(gone, { code: 1, stderr: /no such service: web/i })
  await eventually(async () => (await docker('network rm back', { check: false })).code === 0, {
    what: 'the network goes after its last task',
  })
}

const stacks = async (t: Test, docker: Docker, h1: LabHost): Promise<void> => {
  const folder = join(h1.dir, 'docker-stack')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'stack.yml'), STACK)
  writeFileSync(join(folder, 'password'), 'hidden')
  writeFileSync(join(folder, 'page'), 'a page')
  const deploy = ['stack', 'deploy', '-c', join(folder, 'stack.yml'), 'st']
  t.match((await docker(deploy)).stdout, 'Creating service st_web')
  const ids = async () => (await untilRunning(h1, 'st_web', 2)).map((task) => task.ID).sort()
  const before = await ids()
  const page = ['-sf', `http://${h1.ip}:8091/file?path=/page`]
  await eventually(async () => (await h1.exec('curl', page)).stdout === 'a page', {
    what: 'the published port answers with the config',
  })
  t.match((await docker(deploy)).stdout, 'Updating service st_web')
  t.strictSame(await ids(), before, 'nothing differs: nothing restarts')
  t.match((await docker('stack ls')).stdout, /st +1/)
  t.match((await docker('stack services st')).stdout, /st_web +replicated +2\/2/)
  t.match((await docker('stack ps st')).stdout, /st_web\.1/)
  const { stdout, stderr } = await docker('stack rm st')
  t.match(stdout + stderr, /Removing service st_web[\s\S]*Removing network st_inner/)
  t.notMatch((await docker('secret ls')).stdout, 'st_password')
}

const nodes = async (t: Test, docker: Docker, h1: LabHost): Promise<void> => {
  t.match((await docker('node ls')).stdout, /\* +h1 +Ready +Active +Leader/)
  t.match((await docker('node promote h2')).stdout, 'promoted to a manager')
  await eventually(async () => /h2 .*Reachable/.test((await docker('node ls')).stdout), {
    what: 'h2 is a manager',
    timeoutMs: COMMAND_TIMEOUT_MS,
  })
  t.match((await docker('node demote h2')).stdout, 'demoted in the swarm')
  await eventually(async () => !(await nodesByName(h1)).get('h2')?.ManagerStatus, {
    what: 'h2 is a worker',
    timeoutMs: COMMAND_TIMEOUT_MS,
  })
  t.match(await docker('node rm h2', { check: false }), { code: 1, stderr: /is not down/ })
  t.match(
    (await docker('info')).stdout,
    /Swarm: active[\s\S]*Is Manager: true[\s\S]*Managers: 1[\s\S]*Nodes: 2/,
  )
}

/** What goes on to the local Engine, streams and terminals included. */
const localEngine = async (t: Test, docker: Docker, host: LabHost, program: string) => {
  const run = ['run', '--rm', 'swarmctl-test:1']
  const both = await docker([...run, 'sh', '-c', 'echo out; echo err >&2; exit 7'], {
    check: false,
  })
  t.match(both, { code: 7, stdout: 'out\n', stderr: 'err\n' })
  const input = 'line\n'.repeat(20_000)
  const echoed = await docker(['run', '--rm', '-i', 'swarmctl-test:1', 'cat'], { input })
  t.equal(echoed.stdout, input, 'both ways, and the end of the input arrives')
  await docker('run -d --name mine swarmctl-test:1')
  t.match((await docker('ps')).stdout, /swarmctl-test:1 .* mine/)
  const exec = await docker(['exec', '-i', 'mine', 'sh', '-c', 'cat; exit 3'], {
    input: 'typed',
    check: false,
  })
  t.match(exec, { code: 3, stdout: 'typed' })
  const command = `exec -it mine sh -c 'test -t 0 && echo a terminal'`
  const line = `${program} -H unix://${host.swarmctlSocket} ${command}`
  t.match((await host.exec('script', ['-qec', line, '/dev/null'])).stdout, 'a terminal')
  t.match((await docker('logs mine')).stdout, 'started version=1')
  t.equal((await docker('rm -f mine')).stdout, 'mine\n')
  for (let turn = 0; turn < 20; turn += 1) await docker('ps')
}

labTest(t, 'docker CLIs of different age', { hosts: 2 }, async (t, lab) => {
  const h1 = lab.host(1)
  await formCluster(lab, { managers: 1 })
  for (const program of [DEBIAN, NEWER].filter((path) => existsSync(path))) {
    const docker = cliAt(program, h1)
    const version = (await docker(['version', '-f', '{{.Client.Version}}'])).stdout.trim()
    await t.test(`${version}: services`, (t) => services(t as Test, docker, h1))
    await t.test(`${version}: stacks`, (t) => stacks(t as Test, docker, h1))
    await t.test(`${version}: nodes`, (t) => nodes(t as Test, docker, h1))
    await t.test(`${version}: the local Engine`, (t) => localEngine(t as Test, docker, h1, program))
  }
})
