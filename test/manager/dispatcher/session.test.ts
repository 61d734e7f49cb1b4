import t from 'tap'
import type { DispatcherMessage } from '../../../src/api/assignment.ts'
import { emptyAssignmentSet } from '../../../src/manager/dispatcher/assignment-set.ts'
import { emptyOverlayChange } from '../../../src/manager/dispatcher/overlay-change.ts'
import { Session } from '../../../src/manager/dispatcher/session.ts'
import { type Bench, startBench } from '../../support/dispatcher/bench.ts'
import { sampleNode } from '../../support/objects.ts'
import { settle } from '../../support/orchestration/virtual-clock.ts'

/** The store's updates wait from now on until the returned function is called. */
const holdUpdates = (b: Bench): (() => void) => {
  const update = b.store.update.bind(b.store)
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  b.store.update = async (run) => {
    await held
    return update(run)
  }
  return release
}

t.test('a node is not silent while what it said waits to be written', async (t) => {
  const b = await startBench()
  const state = () => b.store.view().get('node', 'n1')?.Status.State
  const goOn = holdUpdates(b)
  const agent = b.connect('n1')
  const beat = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await agent.say({ kind: 'heartbeat' })
      await b.clock.advance(1000)
    }
  }
  await beat(6)
  t.equal(state(), 'unknown', 'its registration is under way')
  t.strictSame(b.dispatcher.connectedNodes, ['n1'])
  goOn()
  await b.settle()
  t.equal(state(), 'ready')

  const goOnAgain = holdUpdates(b)
  const { Description } = sampleNode('n1', 1)
  const description = {
    ...Description,
    Swarmctl: { ...Description.Swarmctl, EngineError: 'down' },
  }
  await agent.say({ kind: 'description', description })
  await beat(6)
  t.equal(state(), 'ready')
  t.strictSame(b.dispatcher.connectedNodes, ['n1'])
  goOnAgain()
  await b.settle()
  t.equal(b.store.view().get('node', 'n1')?.Description.Swarmctl.EngineError, 'down')
  await b.clock.advance(4000)
  t.equal(state(), 'down', 'then its silence is its own')
})

/** A session to a node that reads when the test says so. */
const slowSession = () => {
  const sent: DispatcherMessage[] = []
  let read = (): void => {}
  const calls: string[] = []
  const session = new Session(
    {
      connection: { openStream: () => t.fail() as never },
      stream: {
        send(message) {
          sent.push(message as DispatcherMessage)
          return new Promise((resolve) => {
            read = resolve
          })
        },
        async *messages() {},
        end: () => calls.push('end'),
        abort: () => calls.push('abort'),
      },
      source: {
        assignments: emptyAssignmentSet,
        overlay: () => ({ change: emptyOverlayChange(), version: 1 }),
      },
    },
    { nodeId: 'n1' },
  )
  return { session, sent, calls, read: () => read() }
}

t.test('a node that does not read holds up nobody who ends its session', async (t) => {
  const { session, sent, calls } = slowSession()
  session.flush()
  session.close({ kind: 'removed' })
  t.equal(sent.at(-1)?.kind, 'removed')
  t.strictSame(calls, ['end'])
})

t.test(
  'a confirmed list of managers stays confirmed when a newer one takes its place',
  async (t) => {
    const { session, sent, read } = slowSession()
    const list = (asOf: number) => ({
      kind: 'managers' as const,
      role: 'worker' as const,
      managers: [{ nodeId: 'm1', addr: 'm1:2377' }],
      asOf,
    })
    session.flush()
    session.queueFirst({ ...list(1), isPresent: true })
    session.queueFirst({ ...list(2), isPresent: false })
    read()
    await settle()
    t.match(sent.at(-1), { kind: 'managers', asOf: 2, isPresent: true })
    session.queueFirst({ ...list(3), isPresent: false })
    read()
    await settle()
    session.flush()
    t.match(
      sent.filter(({ kind }) => kind === 'managers').at(-1),
      { asOf: 3, isPresent: false },
      'only what is still to be sent',
    )
  },
)
