/** Ctrl-C while a command waits for what the daemon carries through. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../support/cli/run-cli.ts'
import { type ApiNode, startNode, until } from '../support/http/api-node.ts'

type Change = 'init' | 'join' | 'leave' | 'unlock' | 'restore'

/** Keeps the node's answer back until the returned function is called; `begun` and `done` count what it was asked for. */
const heldBack = ({ swarm }: ApiNode, change: Change) => {
  const told = { begun: 0, done: 0 }
  let answer = (): void => {}
  const held = new Promise<void>((resolve) => {
    answer = resolve
  })
  const own = swarm[change].bind(swarm) as (...args: unknown[]) => Promise<unknown>
  swarm[change] = (async (...given: unknown[]) => {
    // A file is all there by then.
    const args = await Promise.all(given.map(whole))
    told.begun += 1
    await held
    const result = await own(...args)
    told.done += 1
    return result
  }) as never
  return { told, answer }
}

async function* again(parts: readonly unknown[]) {
  yield* parts
}

const whole = async (given: unknown): Promise<unknown> => {
  if (typeof given !== 'object' || given === null || !(Symbol.asyncIterator in given)) return given
  const parts: unknown[] = []
  for await (const part of given as AsyncIterable<unknown>) parts.push(part)
  return again(parts)
}

t.test('a change of membership that is interrupted goes on, and says so', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'swarmctl-interrupt-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const backup = join(folder, 'swarm.backup')
  writeFileSync(backup, 'sealed with x')
  const cases: [change: Change, state: 'inactive' | 'active' | 'locked', args: string[]][] = [
    ['init', 'inactive', ['init', '--autolock']],
    ['join', 'inactive', ['join', '--token', 'SWMTKN-1-a-b', '10.0.0.1']],
    ['leave', 'active', ['leave', '--force']],
    ['unlock', 'locked', ['unlock']],
    ['restore', 'inactive', ['restore', '--passphrase-file', '-', backup]],
  ]
  for (const [change, state, args] of cases) {
    const node = await startNode(t)
    node.swarm.state.localNodeState = state
    const { told, answer } = heldBack(node, change)
    const ctrlC = new AbortController()
    const stdin = change === 'unlock' ? 'SWMKEY-1-right\n' : 'x\n'
    const running = runCli(['-H', node.host, ...args], { signal: ctrlC.signal, stdin })
    await until(() => told.begun === 1)
    ctrlC.abort()
    const { code, out, err } = await running
    t.strictSame([code, out], [130, ''], change)
    t.match(
      err,
      /^swarmctl: interrupted; the daemon goes on with it[^\n]*"swarmctl node ls"[^\n]*\n$/,
    )
    answer()
    await until(() => told.done === 1)
  }
})

t.test('what was not begun goes on nowhere', async (t) => {
  const node = await startNode(t)
  const ran = await runCli(['-H', node.host, 'leave', '--force'], { signal: AbortSignal.abort() })
  t.strictSame(ran, { code: 130, out: '', err: '' })
  t.strictSame(node.swarm.calls, [])
})
