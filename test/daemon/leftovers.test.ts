import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { Leftovers } from '../../src/daemon/leftovers.ts'
import type { ObservedContainer } from '../../src/worker/executor.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

const machine = async (t: Test) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'leftovers-'))
  t.teardown(() => rm(dataDir, { recursive: true }))
  const containers = new Map<string, string>([
    ['c1', 'left'],
    ['c2', 'left'],
    ['c3', 'another'],
  ])
  const log = new CollectedLog()
  const engine = { isDown: true, networksRemoved: 0, kept: new Set<string>() }
  let tick = () => {}
  const create = () =>
    new Leftovers(
      {
        executor: {
          async list(nodeId) {
            if (engine.isDown) throw new SwarmctlError('ENGINE_UNAVAILABLE', 'down')
            const ids = [...containers].filter(([, owner]) => owner === nodeId).map(([id]) => id)
            return ids.map((id) => ({ id }) as ObservedContainer)
          },
          async remove(id) {
            if (engine.kept.has(id)) throw new SwarmctlError('INTERNAL', 'no such layer')
            containers.delete(id)
          },
        },
        onRemoved: async () => {
          engine.networksRemoved += 1
        },
        clock: {
          nowMs: () => 0,
          schedule(_ms, run) {
            tick = run
            return () => {}
          },
        },
        log,
      },
      { dataDir },
    )
  const settled = () => new Promise((resolve) => setTimeout(resolve, 20))
  return { dataDir, containers, engine, log, create, settled, tick: () => tick() }
}

t.test('containers that an Engine kept while it was down go when it is back', async (t) => {
  const { dataDir, containers, engine, create, settled, tick } = await machine(t)
  const before = create()
  await before.start()
  await before.add('left')
  before.look()
  await settled()
  t.equal(containers.size, 3, 'the Engine is down')
  // Another daemon, after a reboot.
  const after = create()
  await after.start()
  await settled()
  t.equal(containers.size, 3, 'and still is')
  engine.isDown = false
  tick()
  await settled()
  t.strictSame([...containers.keys()], ['c3'], "another node's stay")
  t.equal(engine.networksRemoved, 1)
  t.strictSame(await readdir(dataDir), [], 'nothing left to remember')
})

t.test('a container that can’t be removed keeps no other, nor another node’s', async (t) => {
  const { dataDir, containers, engine, log, create, settled, tick } = await machine(t)
  engine.isDown = false
  engine.kept.add('c1')
  const leftovers = create()
  await leftovers.start()
  await leftovers.add('left')
  await leftovers.add('another')
  leftovers.look()
  await settled()
  t.strictSame([...containers.keys()], ['c1'])
  for (const _again of [1, 2]) {
    tick()
    await settled()
  }
  const told = log.lines.filter((line) => line.includes('stay for now'))
  t.match(told, [/1 of 2 containers can't be removed \(c1\): no such layer/, /1 of 1/])
  t.equal(told.length, 2, 'what does not change is told once')
  engine.kept.clear()
  tick()
  await settled()
  t.equal(containers.size, 0)
  t.strictSame(await readdir(dataDir), [])
})

t.test('after a leave that was cut short a member keeps its containers', async (t) => {
  const { dataDir, containers, engine, create, settled } = await machine(t)
  await create().add('left')
  engine.isDown = false
  const after = create()
  await after.start('left')
  await settled()
  t.equal(containers.size, 3)
  await after.add('left')
  after.look()
  await settled()
  t.strictSame([...containers.keys()], ['c3'], 'it leaves again')
  t.strictSame(await readdir(dataDir), [])
})

t.test(
  'a node that left cleanly leaves no trace, and a record that is damaged harms nobody',
  async (t) => {
    const { dataDir, create } = await machine(t)
    const leftovers = create()
    await leftovers.start()
    for (let n = 0; n < 20; n += 1) await leftovers.add(`node${n}`)
    for (let n = 0; n < 20; n += 1) await leftovers.done(`node${n}`)
    t.strictSame(await readdir(dataDir), [])
    await writeFile(join(dataDir, 'leftovers.json'), 'damaged')
    await create().start()
  },
)
