import type { Mutation } from './mutation.ts'

const READS = 'src/raft/reads.ts'

export const READ_MUTATIONS: readonly Mutation[] = [
  {
    name: 'read-without-a-round',
    file: READS,
    original: '  if (hasQuorum(state.membership, (id) => id === state.id)) {\n',
    mutated: '  if (state.term > 0) {\n',
    reference: '§6.4: a deposed leader answers',
  },
  {
    name: 'read-before-a-commit-in-the-term',
    file: READS,
    original: '  if (!committedInTerm(state)) {\n',
    mutated: '  if (!committedInTerm(state) && state.term < 0) {\n',
    reference: 'etcd #7331; tikv #6340, #9239',
  },
  {
    name: 'old-answer-confirms-a-read',
    file: 'src/raft/read-queue.ts',
    original: '      if (round.number > number) return\n',
    mutated: '',
    reference: '§6.4; etcd #20418',
  },
  {
    name: 'read-round-named-by-the-client',
    file: 'src/raft/read-queue.ts',
    original: `    this.#lastNumber += 1
    this.#rounds.push`,
    mutated: `    this.#lastNumber = origin.token
    this.#rounds.push`,
    reference: 'etcd #20418',
  },
  {
    name: 'read-tokens-begin-anew-with-the-process',
    file: 'src/raft/node.ts',
    original: 'new ReadBarriers(core.heartbeatTicks, firstNumber())',
    mutated: 'new ReadBarriers(core.heartbeatTicks, 0 * firstNumber())',
    reference: 'this project: an answer to an earlier life confirms a read',
  },
  {
    name: 'reads-served-before-they-are-applied',
    file: 'src/raft/read-barriers.ts',
    original: 'const ready = this.#confirmed.filter(({ index }) => index <= applied)',
    mutated: 'const ready = this.#confirmed.filter(({ index }) => index <= applied + 1)',
    reference: '§6.4: serve when applied >= read index',
  },
  {
    name: 'reads-served-while-a-snapshot-is-installed',
    file: 'src/raft/node.ts',
    original: 'if (!this.#persister.isInstalling) this.#reads.onApplied(core.log.applied)',
    mutated: 'this.#reads.onApplied(core.log.applied)',
    reference: 'this project: the core was ahead of the state machine',
  },
]
