import type { Mutation } from './mutation.ts'

const FOLLOWER = 'src/raft/follower.ts'
const NODE = 'src/raft/node.ts'
const PERSISTER = 'src/raft/persister.ts'

export const STORAGE_MUTATIONS: readonly Mutation[] = [
  {
    name: 'snapshot-logged-before-it-is-durable',
    file: PERSISTER,
    original: '    await this.#deps.installSnapshot(batch)\n',
    mutated: '    this.#deps.installSnapshot(batch).catch(this.#deps.onFailed)\n    await null\n',
    reference: '§5; Redis-Raft #43',
  },
  {
    name: 'failed-snapshot-looks-like-a-newcomer',
    file: 'src/raft/core.ts',
    original: '      progress.onSnapshotFailed(this.#state.log.firstIndex)\n',
    mutated: '      progress.onSnapshotFailed(progress.match + 1)\n',
    reference: 'this project: a leader waits for what only that follower could commit',
  },
  {
    name: 'snapshot-throws-a-matching-tail-away',
    file: FOLLOWER,
    original: '    if (log.matches(meta.index, meta.term)) {\n',
    mutated: '    if (log.matches(meta.index, -meta.term)) {\n',
    reference: 'etcd #1763',
  },
  {
    name: 'snapshot-keeps-a-conflicting-entry',
    file: FOLLOWER,
    original: '    if (log.matches(meta.index, meta.term)) {\n',
    mutated: '    if (meta.index <= log.lastIndex) {\n',
    reference: 'hashicorp/raft #704',
  },
  {
    name: 'log-purged-before-the-state-is-stored',
    file: NODE,
    original: 'Math.min(this.#deps.state.flushedIndex, core.log.applied)',
    mutated: 'core.log.applied',
    reference: 'spur #368; Redis-Raft #43',
  },
  {
    name: 'applied-index-stored-before-its-data',
    file: NODE,
    original: 'this.#deps.state.write({ index, term, membership: core.membership }, writes)',
    mutated: `const meta = { index, term, membership: core.membership }
    this.#deps.state.write(meta, [])
    this.#deps.clock.after(100, () => {
      const { applied } = core.log
      const reached = { index: applied, term: core.log.termAt(applied) ?? term }
      this.#deps.state.write({ ...reached, membership: core.membership }, writes)
    })`,
    reference: 'etcd #13766',
  },
  {
    name: 'applied-index-stored-behind-its-data',
    file: NODE,
    original: 'this.#deps.state.write({ index, term, membership: core.membership }, writes)',
    mutated: `const behind = core.log.at(index - 1)
    const meta = { index, term, membership: core.membership }
    this.#deps.state.write(behind === undefined ? meta : { ...meta, index: behind.index, term: behind.term }, writes)`,
    reference: 'etcd #13766',
  },
  {
    name: 'state-installed-beside-an-empty-log',
    file: PERSISTER,
    original: '    await this.#appended\n',
    mutated: '',
    reference: 'this project: found while another mutation ran',
  },
  {
    name: 'failed-sync-is-ignored',
    file: PERSISTER,
    original: '      .catch(onFailed)\n',
    mutated: '      .catch(() => onDurable(batch))\n',
    reference: 'fsyncgate',
  },
  {
    name: 'snapshot-piece-taken-twice-or-too-early',
    file: 'src/raft/snapshot-receiver.ts',
    original: '    if (chunk.sequence === incoming.next) {\n',
    mutated: '    if (chunk.sequence > 0) {\n',
    reference: 'swarmkit #3232',
  },
  {
    name: 'snapshot-view-moves-on',
    file: 'src/raft/snapshot-sender.ts',
    original: '    const index = stream.view?.meta.index ?? 0\n    this.#drop',
    mutated: '    const index = (stream.view?.meta.index ?? 0) + 1\n    this.#drop',
    reference: '§5.1: what a snapshot stands for',
  },
  {
    name: 'snapshot-of-a-deposed-leader-is-taken',
    file: NODE,
    original: '        if (message.term === core.term && message.from === core.leader)\n',
    mutated: '        if (message.from !== core.id)\n',
    reference: '§5.3: InstallSnapshot, rule 1',
  },
]
