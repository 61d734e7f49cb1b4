/** The process that the user starts: shows the story while the keeper plays it, or takes a demo down. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { KeeperMessage, KeeperOptions } from './keeper-port.ts'
import { isUp, takeDown } from './take-down.ts'

const USAGE = `npm run demo                  start a swarm of three nodes on this machine and show what it does
npm run demo -- --nodes 1     with this machine's own Docker Engine as the only node
npm run demo -- --nodes 5     with 3 to 7 nodes in network namespaces
npm run demo -- --down        remove every trace of it
                --dir PATH    the demo's notes and logs, default /tmp/swarmctl-demo; one demo per folder
`
const NODES_DEFAULT = 3
const NODES_MAX = 7
const DIR_DEFAULT = '/tmp/swarmctl-demo'
const INTERRUPTED = 130

const readOptions = () => {
  try {
    return parseArgs({
      options: {
        nodes: { type: 'string', default: String(NODES_DEFAULT) },
        down: { type: 'boolean', default: false },
        dir: { type: 'string', default: DIR_DEFAULT },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${USAGE}`)
  }
}

/** Starts the keeper and shows what it tells. Returns the exit code. */
const start = async (options: KeeperOptions): Promise<number> => {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const logFile = join(options.dir, 'keeper.log')
  const log = openSync(logFile, 'w', 0o600)
  const keeper = spawn(
    process.execPath,
    [join(import.meta.dirname, 'keeper.ts'), JSON.stringify(options)],
    {
      cwd: resolve(import.meta.dirname, '../..'),
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    },
  )
  closeSync(log)
  let outcome: Exclude<KeeperMessage, { kind: 'text' }> | undefined
  keeper.on('message', (message: KeeperMessage) => {
    if (message.kind === 'text') process.stdout.write(message.text)
    else outcome = message
  })
  let isInterrupted = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      isInterrupted = true
      keeper.disconnect()
    })
  }
  await new Promise((done) => {
    keeper.once('disconnect', done)
    keeper.once('error', done)
  })
  keeper.unref()
  if (outcome?.kind === 'end') return outcome.isClean ? 0 : 1
  const reason = outcome?.message ?? `its process ended\n${readFileSync(logFile, 'utf8')}`.trimEnd()
  if (!isInterrupted) process.stderr.write(`\ndemo: ${reason}\n`)
  process.stderr.write('demo: removing what was started\n')
  await takeDown(options.dir, { keeperPid: keeper.pid })
  return isInterrupted ? INTERRUPTED : 1
}

const run = async (): Promise<number> => {
  const values = readOptions()
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const dir = resolve(values.dir)
  if (values.down) {
    const found = await takeDown(dir)
    process.stdout.write(found ? 'demo: removed\n' : 'demo: there is none, nothing to remove\n')
    return 0
  }
  const nodes = Number(values.nodes)
  if (!Number.isInteger(nodes) || nodes < 1 || nodes === 2 || nodes > NODES_MAX) {
    throw new Error(`--nodes is 1, or 3 to ${NODES_MAX}: two managers can't lose one`)
  }
  const downArgs = dir === DIR_DEFAULT ? ['--down'] : ['--down', '--dir', dir]
  if (isUp(dir))
    throw new Error(`it runs already; npm run demo -- ${downArgs.join(' ')} removes it`)
  // What a demo left whose keeper was killed.
  await takeDown(dir)
  return start({ dir, nodes, downArgs, hasColors: process.stdout.isTTY === true })
}

try {
  process.exitCode = await run()
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`)
  process.exitCode = 1
}
