/**
 * `npm run demo`: a swarm of three nodes on this machine, told as a story, and left running. `-- --down` removes every trace,
 * `-- --nodes 1` uses the machine's own Engine. Starts under the machine's Node 20 before anything is
 * installed; the story itself (demo/main.ts) runs under the pinned Node.
 */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
const NODE = join(ROOT, 'node_modules/.bin/node')

const args = process.argv.slice(2)
const asks = (...flags) => flags.some((flag) => args.includes(flag))

if (!asks('--help', '-h')) {
  const reason = whyImpossible()
  if (reason !== undefined) {
    process.stderr.write(`demo: ${reason}\n`)
    process.exit(1)
  }
}
// Taking down or explaining needs no Engine and no executable.
const isStart = !asks('--help', '-h', '--down')
run(process.execPath, [join(ROOT, 'scripts/setup.mjs'), ...(isStart ? ['--lab'] : [])])
if (isStart) run(NODE, [join(ROOT, 'scripts/build.ts')])
run(NODE, [join(ROOT, 'scripts/demo/main.ts'), ...args])

function whyImpossible() {
  if (process.platform !== 'linux') return 'needs Linux: network namespaces and Docker Engines'
  if (process.getuid() !== 0) {
    return 'needs root (network namespaces and Docker Engines of its own): sudo npm run demo'
  }
  return undefined
}

/** Ctrl-C reaches the program too, which cleans up: wait for it. */
function run(file, fileArgs) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => {})
  const { status, error } = spawnSync(file, fileArgs, { cwd: ROOT, stdio: 'inherit' })
  if (error !== undefined) process.stderr.write(`demo: ${file}: ${error.message}\n`)
  if (status !== 0) process.exit(status ?? 1)
}
