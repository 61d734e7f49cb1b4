import type { RaftNodeId } from './membership.ts'

/** Two majorities must agree while a joint change is under way (§4.3); otherwise `outgoing` is empty. */
export interface Quorum {
  readonly voters: readonly RaftNodeId[]
  readonly outgoing: readonly RaftNodeId[]
}

export type VoteResult = 'won' | 'lost' | 'pending'

/** The highest index that a majority of each set of voters holds. */
export function committedIndex(quorum: Quorum, matchOf: (id: RaftNodeId) => number): number {
  return Math.min(majorityIndex(quorum.voters, matchOf), majorityIndex(quorum.outgoing, matchOf))
}

/** Counts votes by voter, so that a repeated answer counts once. */
export function voteResult(quorum: Quorum, votes: ReadonlyMap<RaftNodeId, boolean>): VoteResult {
  const results = [majorityVote(quorum.voters, votes), majorityVote(quorum.outgoing, votes)]
  if (results.includes('lost')) return 'lost'
  return results.includes('pending') ? 'pending' : 'won'
}

/** Whether the ids for which `has` is true form a quorum. */
export function hasQuorum(quorum: Quorum, has: (id: RaftNodeId) => boolean): boolean {
  return isMajority(quorum.voters, has) && isMajority(quorum.outgoing, has)
}

function majorityIndex(ids: readonly RaftNodeId[], matchOf: (id: RaftNodeId) => number): number {
  // An empty set agrees with everything, so that a plain configuration is a joint one without a second half.
  if (ids.length === 0) return Number.MAX_SAFE_INTEGER
  const ascending = ids.map(matchOf).sort((a, b) => a - b)
  return ascending[ids.length - majority(ids.length)] ?? 0
}

function majorityVote(
  ids: readonly RaftNodeId[],
  votes: ReadonlyMap<RaftNodeId, boolean>,
): VoteResult {
  if (ids.length === 0) return 'won'
  const granted = ids.filter((id) => votes.get(id) === true).length
  const refused = ids.filter((id) => votes.get(id) === false).length
  if (granted >= majority(ids.length)) return 'won'
  return ids.length - refused < majority(ids.length) ? 'lost' : 'pending'
}

function isMajority(ids: readonly RaftNodeId[], has: (id: RaftNodeId) => boolean): boolean {
  return ids.length === 0 || ids.filter(has).length >= majority(ids.length)
}

function majority(count: number): number {
  return Math.floor(count / 2) + 1
}
