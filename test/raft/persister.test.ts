import t from 'tap'
import { Persister } from '../../src/raft/persister.ts'
import type { PersistBatch } from '../../src/raft/ready.ts'
import type { Wal } from '../../src/raft/wal-port.ts'

const batchAt = (index: number, parts: Partial<PersistBatch>): PersistBatch => ({
  ...{ ioId: { term: 1, position: { index, term: 1 } }, entries: [], responses: [] },
  ...{ hardState: { term: 1, vote: null, commit: index }, snapshot: null, ...parts },
})

const SNAPSHOT = { index: 5, term: 1 } as PersistBatch['snapshot']

t.test(
  'a state is installed when the log before it is durable, and the log goes on after it',
  async (t) => {
    const happened: string[] = []
    let synced = () => {}
    const append: Wal['append'] = ({ reset }) =>
      new Promise((resolve) => {
        happened.push(reset === null ? 'log' : 'log anew')
        synced = resolve
      })
    const persister = new Persister({
      wal: { append } as Wal,
      installSnapshot: async () => void happened.push('state'),
      onInstalled: () => happened.push('in use'),
      onDurable: ({ ioId }) => happened.push(`durable ${ioId.position.index}`),
      onFailed: (error) => t.fail(String(error)),
    })
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    persister.persist(batchAt(0, {}))
    persister.persist(batchAt(5, { snapshot: SNAPSHOT }))
    await turn()
    t.same(happened, ['log'], 'a crash now leaves a manager without a state, not one without a log')
    t.ok(persister.isInstalling)
    synced()
    await turn()
    t.same(happened.slice(1), ['durable 0', 'state', 'in use', 'log anew'])
    synced()
    await turn()
    t.same(happened.slice(5), ['durable 5'])
  },
)
