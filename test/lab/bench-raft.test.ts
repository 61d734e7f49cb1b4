import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

// `npm run bench:raft` in short, without its peer: that each kind of row still measures something. Its numbers are nobody's.

const ROOT = join(import.meta.dirname, '../..')
const LOADS = ['write-16', 'read-64', 'http-64']
const TIMEOUT_MS = 180_000

t.setTimeout(TIMEOUT_MS)

t.test('the benchmark beside etcd measures this side', { timeout: TIMEOUT_MS }, async (t) => {
  const args = ['--rounds', '1', '--rows', [...LOADS, 'core'].join(','), '--subjects', 'swarmctl']
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['bench/raft.ts', ...args, '--format', 'json'],
    { cwd: ROOT, env: { ...process.env, SWARMCTL_COMMAND: join(ROOT, 'dist/swarmctl') } },
  )
  const { loads, facts, failures } = JSON.parse(stdout)
  t.strictSame(failures, [])
  t.strictSame(
    loads.map(({ row }: { row: { name: string } }) => row.name),
    LOADS,
  )
  for (const { row, rounds } of loads) {
    const { perSecond, p99Ms, cpuUs, syncsPerOperation } = rounds[0].swarmctl
    t.ok(perSecond > 0 && p99Ms > 0 && cpuUs > 0, row.name)
    // A read asks no disk; what the state stores behind may still be on its way.
    if (row.load.operation !== 'get') t.ok(syncsPerOperation > 0, `${row.name} is durable`)
  }
  t.ok(facts[0].facts[0].value > 0, 'the core alone')
})
