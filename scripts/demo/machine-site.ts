/** This machine as the only node: its own Engine, and a daemon beside it. */
import assert from 'node:assert'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { type CommandOptions, runCommand } from '../../test/support/lab/command.ts'
import { eventually } from '../../test/support/lab/eventually.ts'
import { identify, isAlive, type ProcessIdentity } from '../../test/support/lab/process-table.ts'
import { TEST_IMAGE, testImageFile } from '../../test/support/lab/test-image.ts'
import { unixRequest } from '../../test/support/lab/unix-request.ts'
import { endProcess } from './end-process.ts'
import type { Narrator } from './narrator.ts'
import type { DemoNode, DemoSite } from './site.ts'
import { type MachineState, storeState } from './state.ts'

const SWARMCTL = resolve(import.meta.dirname, '../../dist/swarmctl')
const ENGINE_DEFAULT = 'unix:///var/run/docker.sock'
/** Where systemd's presence shows (sd_booted(3)). */
const SYSTEMD_BOOTED = '/run/systemd/system'
const ADDRESS = '127.0.0.1'
const PORT_FIRST = 8080
const PORTS_TRIED_MAX = 20
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000
const POLL_MS = 100
const LOG_TAIL_LINES = 10

/** Starts the Engine if need be, and a daemon; both outlive this process. */
export const openMachineSite = async (
  narrator: Narrator,
  options: { readonly dir: string },
): Promise<DemoSite> => {
  narrator.chapter("This machine, with its own Docker Engine, is the swarm's only node")
  const dockerHost = process.env.DOCKER_HOST ?? ENGINE_DEFAULT
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const engine = await ensureEngine(dockerHost, options.dir)
  if (engine !== undefined) narrator.say('The Docker Engine was not running: started.')
  const images = await loadImages(dockerHost)
  const socket = join(options.dir, 'swarmctl.sock')
  const daemonArgs = [
    ...['daemon', '--socket', socket, '--docker-host', dockerHost],
    ...['--data-dir', join(options.dir, 'state'), '--run-dir', join(options.dir, 'run')],
  ]
  const daemon = spawnDetached([SWARMCTL, ...daemonArgs], join(options.dir, 'daemon.log'))
  storeState(options.dir, {
    kind: 'machine',
    ...{ daemon, daemonArgs, socket, dockerHost, engine, images },
  })
  await untilAnswers(socket, 'the swarmctl daemon', daemon, join(options.dir, 'daemon.log'))
  const node = machineNode(socket, dockerHost)
  const { stdout } = await node.docker(['version', '--format', '{{.Server.Version}}'])
  narrator.say(`${node.name}  Docker Engine ${stdout.trim()} (${dockerHost}), swarmctl daemon`)
  return {
    nodes: [node],
    port: await freePort(),
    initArgs: ['--listen-addr', `${ADDRESS}:2377`],
    power: undefined,
  }
}

/** Takes back whatever {@link openMachineSite} did. */
export const removeMachineSite = async (dir: string, state: MachineState): Promise<void> => {
  const { socket } = state
  const log = join(dir, 'daemon.log')
  let { daemon } = state
  if (!isAlive(daemon) && existsSync(join(dir, 'state/node.json'))) {
    // Only a daemon knows what its node made: let it take that away.
    daemon = spawnDetached([SWARMCTL, ...state.daemonArgs], log)
    await untilAnswers(socket, 'the swarmctl daemon', daemon, log)
  }
  const node = machineNode(socket, state.dockerHost)
  if (isAlive(daemon)) {
    const left = await node.swarmctl(['leave', '--force'], { check: false })
    if (left.code !== 0 && !left.stderr.includes('not part of a swarm')) {
      throw new Error(left.stderr.trim())
    }
    await endProcess(daemon, STOP_TIMEOUT_MS)
  }
  for (const image of state.images) await node.docker(['rmi', image], { check: false })
  if (state.engine !== undefined) await endProcess(state.engine, STOP_TIMEOUT_MS)
}

const machineNode = (socket: string, dockerHost: string): DemoNode => {
  const run = (
    file: string,
    args: readonly string[],
    env: Record<string, string>,
    options: CommandOptions,
  ) => runCommand(file, args, { ...options, env: { ...env, ...options.env } })
  return {
    name: hostname(),
    ip: ADDRESS,
    swarmctlSocket: socket,
    swarmctl: (args, options = {}) =>
      run(SWARMCTL, args, { SWARMCTL_HOST: `unix://${socket}` }, options),
    docker: (args, options = {}) => run('docker', args, { DOCKER_HOST: dockerHost }, options),
    apiRequest: (path) => unixRequest(socket, path),
  }
}

/** Returns the Engine's process when it had to be started here. */
const ensureEngine = async (
  dockerHost: string,
  dir: string,
): Promise<ProcessIdentity | undefined> => {
  const answers = async (): Promise<boolean> =>
    (await runCommand('docker', ['-H', dockerHost, 'version'], { check: false })).code === 0
  if (await answers()) return undefined
  if (dockerHost !== ENGINE_DEFAULT) {
    throw new Error(`no Docker Engine answers at ${dockerHost} (DOCKER_HOST)`)
  }
  const log = join(dir, 'dockerd.log')
  const isSystemd = existsSync(SYSTEMD_BOOTED)
  const engine = isSystemd ? undefined : spawnDetached(['dockerd'], log)
  if (isSystemd) await runCommand('systemctl', ['start', 'docker'])
  await eventually(async () => (engine !== undefined && !isAlive(engine)) || (await answers()), {
    what: 'the Docker Engine of this machine answers',
    timeoutMs: START_TIMEOUT_MS,
    intervalMs: POLL_MS,
  })
  if (engine !== undefined && !isAlive(engine)) {
    throw new Error(`the Docker Engine of this machine does not start:\n${tail(log)}`)
  }
  return engine
}

/** Returns those that were not there. */
const loadImages = async (dockerHost: string): Promise<string[]> => {
  const list = async (): Promise<string[]> => {
    const format = '{{.Repository}}:{{.Tag}}'
    const args = ['-H', dockerHost, 'images', '--format', format, TEST_IMAGE]
    return (await runCommand('docker', args)).stdout.trim().split('\n').filter(Boolean)
  }
  const before = await list()
  await runCommand('docker', ['-H', dockerHost, 'load', '-i', await testImageFile()])
  return (await list()).filter((image) => !before.includes(image))
}

const spawnDetached = (args: readonly string[], logFile: string): ProcessIdentity => {
  const log = openSync(logFile, 'a', 0o600)
  const [file, ...others] = args
  assert(file !== undefined)
  const child = spawn(file, others, { detached: true, stdio: ['ignore', log, log] })
  child.once('error', () => {})
  child.unref()
  const identity = child.pid === undefined ? undefined : identify(child.pid)
  if (identity === undefined) throw new Error(`cannot start ${file}:\n${tail(logFile)}`)
  return identity
}

const untilAnswers = async (
  socket: string,
  who: string,
  identity: ProcessIdentity,
  log: string,
): Promise<void> => {
  await eventually(
    async () => !isAlive(identity) || (await unixRequest(socket, '/_ping')).status > 0,
    { what: `${who} answers`, timeoutMs: START_TIMEOUT_MS, intervalMs: POLL_MS },
  )
  if (!isAlive(identity)) throw new Error(`${who} ended at once:\n${tail(log)}`)
}

const freePort = async (): Promise<number> => {
  for (let port = PORT_FIRST; port < PORT_FIRST + PORTS_TRIED_MAX; port += 1) {
    const isFree = await new Promise<boolean>((done) => {
      const server = createServer()
      server.once('error', () => done(false))
      server.listen(port, ADDRESS, () => server.close(() => done(true)))
    })
    if (isFree) return port
  }
  throw new Error(`ports ${PORT_FIRST} to ${PORT_FIRST + PORTS_TRIED_MAX - 1} are all in use`)
}

const tail = (file: string): string =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
