import type { Mutation } from './mutation.ts'

const REPLICATION = 'src/raft/replication.ts'
const FOLLOWER = 'src/raft/follower.ts'
const CORE_STATE = 'src/raft/core-state.ts'
const LOG = 'src/raft/log.ts'

export const REPLICATION_MUTATIONS: readonly Mutation[] = [
  {
    name: 'old-terms-committed-by-counting',
    file: REPLICATION,
    original: 'if (index <= log.committed || log.termAt(index) !== state.term) return false',
    mutated: 'if (index <= log.committed) return false',
    reference: '§3.6.2, figure 3.7; logcabin #44',
  },
  {
    name: 'append-acknowledged-before-durable',
    file: CORE_STATE,
    original: `    case 'append-response':
      state.messagesAfterPersist.push(message)
      return
    case 'pre-vote':
`,
    mutated: `      state.messagesAfterPersist.push(message)
      return
    case 'append-response':
    case 'pre-vote':
`,
    reference: '§3.8',
  },
  {
    name: 'leader-counts-itself-before-its-disk',
    file: REPLICATION,
    original: '(id) => state.progress.get(id)?.match ?? 0)',
    mutated:
      '(id) =>\n    id === state.id ? log.lastIndex : (state.progress.get(id)?.match ?? 0),\n  )',
    reference: '§10.2.1; etcd #14370',
  },
  {
    name: 'every-append-truncates',
    file: LOG,
    original: 'entries.findIndex((entry) => !this.matches(entry.index, entry.term))',
    mutated:
      'entries.length === 0 || entries[0]!.index <= this.#committed ? entries.findIndex((entry) => !this.matches(entry.index, entry.term)) : 0',
    reference: '§3.5: only a real conflict of terms truncates',
  },
  {
    name: 'previous-entry-not-compared',
    file: FOLLOWER,
    original: '  if (!log.matches(message.prevIndex, message.prevTerm)) {\n',
    mutated: '  if (message.prevIndex > log.lastIndex) {\n',
    reference: 'liferaft: never matches prevTerm',
  },
  {
    name: 'heartbeat-commits-what-may-not-match',
    file: 'src/raft/heartbeat.ts',
    original: 'Math.min(progress.match, state.log.committed)',
    mutated: 'state.log.committed',
    reference: 'etcd: sendHeartbeat()',
  },
  {
    name: 'truncation-keeps-what-was-durable',
    file: LOG,
    original: '    this.#persisted = Math.min(this.#persisted, index)\n',
    mutated: '',
    reference: 'etcd: unstable.truncateAndAppend()',
  },
  {
    name: 'applied-before-durable',
    file: LOG,
    original: 'Math.min(this.#committed, this.#persisted)',
    mutated: 'this.#committed',
    reference: 'etcd: async storage writes, maxAppliableIndex()',
  },
  {
    name: 'full-pipeline-says-nothing',
    file: REPLICATION,
    original: '  const entries = full ? [] : log',
    mutated: '  if (full) return false\n  const entries = log',
    reference: 'etcd #14633',
  },
  {
    name: 'lost-probe-is-never-repeated',
    file: REPLICATION,
    original: '  progress.resume()\n',
    mutated: '',
    reference: 'etcd: MsgHeartbeatResp recovers a probe',
  },
  {
    name: 'rejection-restarts-nothing',
    file: REPLICATION,
    original: "  if (progress.state === 'replicate') progress.becomeProbe()\n",
    mutated: '',
    reference: 'etcd: MsgAppResp with Reject in StateReplicate',
  },
  {
    name: 'old-rejection-is-believed',
    file: 'src/raft/progress.ts',
    original: `    if (this.next - 1 !== rejectedIndex) return false
    this.next = Math.max(Math.min(rejectedIndex, hintIndex + 1), this.match + 1)
`,
    mutated: `    this.match = Math.min(this.match, hintIndex)
    this.next = Math.min(rejectedIndex, hintIndex + 1)
`,
    reference: 'etcd: Progress.MaybeDecrTo()',
  },
  {
    name: 'answer-for-another-proposal',
    file: 'src/raft/proposals.ts',
    original: 'if (pending.term === entry.term) pending.resolve',
    mutated: 'if (pending.term <= entry.term) pending.resolve',
    reference: '§6.3; Redis-Raft #13',
  },
  {
    name: 'sure-of-what-it-can-not-know',
    file: 'src/raft/proposals.ts',
    original: "?.reject(new OutcomeUnknownError('leadership changed meanwhile'))",
    mutated: "?.reject(new ProposalDroppedError('leadership changed meanwhile'))",
    reference: '§6.3: a timeout is "unknown"',
  },
]
