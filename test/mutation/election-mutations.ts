import type { Mutation } from './mutation.ts'

const ELECTION = 'src/raft/election.ts'
const CORE_STATE = 'src/raft/core-state.ts'
const STEP = 'src/raft/step.ts'
const REPLICATION = 'src/raft/replication.ts'

export const ELECTION_MUTATIONS: readonly Mutation[] = [
  {
    name: 'vote-sent-before-durable',
    file: CORE_STATE,
    original: `    case 'vote-response':
    case 'pre-vote-response':
    case 'append-response':
      state.messagesAfterPersist.push(message)
      return
`,
    mutated: `    case 'pre-vote-response':
    case 'append-response':
      state.messagesAfterPersist.push(message)
      return
    case 'vote-response':
      if (message.to === message.from) state.messagesAfterPersist.push(message)
      else state.messages.push(message)
      return
`,
    reference: '§3.8; etcd: msgsAfterAppend',
  },
  {
    name: 'vote-request-sent-before-durable',
    file: CORE_STATE,
    original: `    case 'vote':
    case 'vote-response':
    case 'pre-vote-response':
    case 'append-response':
      state.messagesAfterPersist.push(message)
      return
`,
    mutated: `    case 'vote-response':
    case 'pre-vote-response':
    case 'append-response':
      state.messagesAfterPersist.push(message)
      return
    case 'vote':
      state.messages.push(message)
      return
`,
    reference: 'this project: a late answer elects a log that a crash has shortened',
  },
  {
    name: 'vote-forgotten-in-the-same-term',
    file: CORE_STATE,
    original: '  if (term !== state.term) {\n',
    mutated: '  {\n',
    reference: 'redpanda #19',
  },
  {
    name: 'learning-a-term-grants-the-vote',
    file: ELECTION,
    original: `    state.log.isUpToDate(message.lastIndex, message.lastTerm)
  if (granted) {`,
    mutated: `    (state.electionElapsedTicks === 0 ||
      state.log.isUpToDate(message.lastIndex, message.lastTerm))
  if (granted) {`,
    reference: 'openraft #1220, databend #16175',
  },
  {
    name: 'votes-counted-by-answers',
    file: ELECTION,
    original: `  if (state.role !== 'candidate') return
  state.votes.set(message.from, state.votes.get(message.from) ?? message.granted)`,
    mutated: `  if (state.role !== 'candidate') return
  const free = votersOf(state).find((id) => !state.votes.has(id)) ?? message.from
  state.votes.set(state.votes.has(message.from) ? free : message.from, message.granted)`,
    reference: 'liferaft 1.0.0',
  },
  {
    name: 'log-length-compared-before-its-term',
    file: 'src/raft/log.ts',
    original: 'lastTerm > own.term || (lastTerm === own.term && lastIndex >= own.index)',
    mutated: 'lastIndex > own.index || (lastIndex === own.index && lastTerm >= own.term)',
    reference: '§3.6.1; liferaft 1.0.0',
  },
  {
    name: 'pre-vote-answer-counted-as-vote',
    file: STEP,
    original: '      onPreVoteResponse(state, message)\n',
    mutated: `      onPreVoteResponse(state, message)
      onVoteResponse(state, { ...message, kind: 'vote-response' })
`,
    reference: 'canonical/raft #196',
  },
  {
    name: 'pre-vote-granted-with-own-term',
    file: ELECTION,
    original: '  const term = granted ? message.term : state.term\n',
    mutated: '  const term = state.term\n',
    reference: 'etcd: Step() answers with the term of the request',
  },
  {
    name: 'pre-candidate-keeps-the-leader',
    file: CORE_STATE,
    original: `  state.role = 'pre-candidate'
  state.leader = null
`,
    mutated: `  state.role = 'pre-candidate'
`,
    reference: 'raft-rs #83, #84',
  },
  {
    name: 'pre-vote-refreshes-the-timer',
    file: ELECTION,
    original: '  answerPreVote(state, message.from, { term, granted })\n',
    mutated:
      '  state.electionElapsedTicks = 0\n  answerPreVote(state, message.from, { term, granted })\n',
    reference: 'hashicorp/raft #609',
  },
  {
    name: 'the-leader-itself-is-refused',
    file: ELECTION,
    original: 'if (state.leader === null || state.leader === message.from) return false',
    mutated: 'if (state.leader === null) return false',
    reference: 'hashicorp/raft #606',
  },
  {
    name: 'learner-protects-a-dead-leader',
    file: ELECTION,
    original: '  if (!mayCampaign(state)) return\n  state.electionElapsedTicks = 0\n',
    mutated: '  state.electionElapsedTicks = 0\n  if (!mayCampaign(state)) return\n',
    reference: 'this project; etcd: tickElection() resets the timer of who is promotable',
  },
  {
    name: 'stale-leader-gets-no-answer',
    file: STEP,
    original: "      send(state, { kind: 'heartbeat-response', from, to, term, readRound: 0 })\n",
    mutated: '',
    reference: 'etcd: Step() on a lower term with PreVote or CheckQuorum',
  },
  {
    name: 'stale-pre-vote-gets-no-answer',
    file: STEP,
    original: '      answerPreVote(state, to, { term, granted: false })\n',
    mutated: '',
    reference: 'etcd: Step() on a lower MsgPreVote',
  },
  {
    name: 'no-check-of-the-quorum',
    file: REPLICATION,
    original: '  if (!hasQuorum(state.membership, active)) {\n',
    mutated: '  if (!hasQuorum(state.membership, active) && state.term < 0) {\n',
    reference: '§6.2; §4.2.3',
  },
  {
    name: 'no-pre-vote',
    file: ELECTION,
    original: `function startPreVote(state: CoreState): void {
`,
    mutated: `function startPreVote(state: CoreState): void {
  if (state.term > 0) {
    startElection(state, true)
    return
  }
`,
    reference: '§9.6: a node that was cut off unseats the leader, without §4.2.3',
  },
  {
    name: 'no-entry-of-its-own-term',
    file: CORE_STATE,
    original: "  appendEntry(state, 'noop')\n",
    mutated: '',
    reference: '§6.4, §3.6.2',
  },
  {
    name: 'transfer-never-ends',
    file: 'src/raft/core.ts',
    original: `      if (this.role !== 'leader') return
      state.transferee = null
`,
    mutated: `      if (this.role !== 'leader') return
`,
    reference: '§3.10: abort after an election timeout',
  },
]
