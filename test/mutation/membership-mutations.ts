import type { Mutation } from './mutation.ts'

const CORE = 'src/raft/core.ts'
const MEMBERSHIP = 'src/raft/membership.ts'
const REPLICATION = 'src/raft/replication.ts'
const ELECTION = 'src/raft/election.ts'

export const MEMBERSHIP_MUTATIONS: readonly Mutation[] = [
  {
    name: 'two-membership-changes-at-once',
    file: CORE,
    original: '      state.pendingMembershipIndex > state.log.applied\n',
    mutated: '      state.pendingMembershipIndex > Number.MAX_SAFE_INTEGER\n',
    reference: '§4.3; etcd: pendingConfIndex',
  },
  {
    name: 'membership-change-before-the-tail-is-applied',
    file: 'src/raft/core-state.ts',
    original: '  state.pendingMembershipIndex = state.log.lastIndex\n',
    mutated: '',
    reference: 'the single-server-change bug of 2015; etcd: becomeLeader()',
  },
  {
    name: 'joint-change-done-as-simple',
    file: MEMBERSHIP,
    original: '  if (moved <= 1 || before.size === 0) return changed\n',
    mutated: '  if (moved <= 9 || before.size === 0) return changed\n',
    reference: '§4.3: disjoint majorities',
  },
  {
    name: 'joint-votes-need-one-majority',
    file: 'src/raft/quorum.ts',
    original:
      'const results = [majorityVote(quorum.voters, votes), majorityVote(quorum.outgoing, votes)]',
    mutated: 'const results = [majorityVote(quorum.voters, votes)]',
    reference: '§4.3',
  },
  {
    name: 'joint-commit-needs-one-majority',
    file: 'src/raft/quorum.ts',
    original:
      'Math.min(majorityIndex(quorum.voters, matchOf), majorityIndex(quorum.outgoing, matchOf))',
    mutated: 'majorityIndex(quorum.voters, matchOf)',
    reference: '§4.3',
  },
  {
    name: 'half-is-a-majority',
    file: 'src/raft/quorum.ts',
    original: '  return Math.floor(count / 2) + 1\n',
    mutated: '  return Math.ceil(count / 2)\n',
    reference: '§4.1: even sizes',
  },
  {
    name: 'learners-count-for-commit',
    file: REPLICATION,
    original: 'const index = committedIndex(state.membership, ',
    mutated:
      'const { voters, learners, outgoing } = state.membership\n  const index = committedIndex({ voters: [...voters, ...learners], outgoing }, ',
    reference: '§4.2.1',
  },
  {
    name: 'campaigns-with-an-unapplied-change',
    file: ELECTION,
    original: '  return !state.log.hasUnappliedMembership()\n',
    mutated: '  return true\n',
    reference: 'etcd: hasUnappliedConfChanges()',
  },
  {
    name: 'removed-leader-goes-on',
    file: CORE,
    original: '    if (!staying.has(state.id) || state.membership.learners.includes(state.id)) {\n',
    mutated: '    if (staying.size === 0) {\n',
    reference: '§4.2.2; etcd: confchange_v1_remove_leader',
  },
  {
    name: 'nobody-leaves-the-joint-change',
    file: CORE,
    original: "this.proposeMembership({ kind: 'leave-joint' })\n",
    mutated: 'this.#state.transferee = null\n',
    reference: '§4.3: auto-leave',
  },
  {
    name: 'pre-vote-tells-no-commit',
    file: ELECTION,
    original: '  if (state.log.matches(commit, commitTerm)) state.log.commitTo(commit)\n',
    mutated: '  if (commit + commitTerm < 0) state.log.commitTo(commit)\n',
    reference: 'raft-rs: maybe_commit_by_vote()',
  },
  {
    name: 'newcomer-elects-anyone',
    file: ELECTION,
    original: '  return membership.voters.length > 0\n',
    mutated: '  return membership.voters.length >= 0\n',
    reference: 'swarmkit design/raft.md: a wiped disk under its old id',
  },
  {
    name: 'newcomer-gets-the-log-from-its-start',
    file: REPLICATION,
    original: '  if (prevIndex === 0 && log.applied > 0) return welcome(state, to, progress)\n',
    mutated: '',
    reference: 'swarmkit design/raft.md: a wiped disk under its old id',
  },
  {
    name: 'whoever-was-removed-is-not-followed',
    file: 'src/raft/step.ts',
    original: '  tellRemoved(state, message)\n',
    mutated: `  tellRemoved(state, message)
  if (message.kind !== 'removed' && state.membership.removed.includes(message.from)) return
`,
    reference: 'this project: a member that came back and leads',
  },
  {
    name: 'whoever-came-back-believes-it-is-removed',
    file: 'src/raft/step.ts',
    original: 'if (message.index > state.log.applied) state.removed = true',
    mutated: 'state.removed = message.index >= 0',
    reference: 'this project: a member that came back and leads',
  },
]
