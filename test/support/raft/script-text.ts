// How scripts show what a core said and did. A position is written term/index.

import type { Entry, LogPosition } from '../../../src/raft/entry.ts'
import type { Membership, MembershipCommand } from '../../../src/raft/membership.ts'
import { decodeMembershipCommand } from '../../../src/raft/membership-codec.ts'
import type { Message } from '../../../src/raft/message.ts'
import type { PersistBatch } from '../../../src/raft/ready.ts'

const decoder = new TextDecoder()

export function positionText({ term, index }: LogPosition): string {
  return `${term}/${index}`
}

export function entryText(entry: Entry): string {
  const position = positionText(entry)
  switch (entry.kind) {
    case 'noop':
      return `${position} noop`
    case 'command':
      return `${position} "${decoder.decode(entry.data)}"`
    case 'membership':
      return `${position} ${commandText(decodeMembershipCommand(entry.data))}`
    default:
      return entry.kind satisfies never
  }
}

function commandText(command: MembershipCommand): string {
  if (command.kind === 'leave-joint') return 'leave-joint'
  return command.changes.map(({ kind, id }) => `${kind}=${id}`).join(' ')
}

export function membershipText(membership: Membership): string {
  const { voters, outgoing, learners, learnersNext, removed } = membership
  const part = (name: string, ids: readonly string[]) =>
    ids.length === 0 ? '' : ` ${name}=(${ids.join(',')})`
  const joint = outgoing.length === 0 ? '' : `&&(${outgoing.join(',')})`
  return (
    `voters=(${voters.join(',')})${joint}` +
    part('learners', learners) +
    part('learners-next', learnersNext) +
    part('removed', removed)
  )
}

export function messageText(message: Message): string {
  const head = `${message.from}->${message.to} ${message.kind} term ${message.term}`
  return `${head}${detailText(message)}`
}

function detailText(message: Message): string {
  switch (message.kind) {
    case 'vote':
      return ` last ${message.lastTerm}/${message.lastIndex}${message.force ? ' forced' : ''}`
    case 'pre-vote':
      return ` last ${message.lastTerm}/${message.lastIndex}`
    case 'vote-response':
      return message.granted ? ' granted' : ' refused'
    case 'pre-vote-response':
      return ` ${message.granted ? 'granted' : 'refused'} commit ${message.commitTerm}/${message.commit}`
    case 'append':
      return ` after ${message.prevTerm}/${message.prevIndex} commit ${message.commit}${entriesText(message.entries)}`
    case 'append-response':
      return message.rejected
        ? ` rejected ${message.index} hint ${message.hintTerm}/${message.hintIndex}`
        : ` accepted ${message.index}`
    case 'heartbeat':
      return ` commit ${message.commit} round ${message.readRound}`
    case 'heartbeat-response':
      return ` round ${message.readRound}`
    case 'snapshot':
      return ` ${positionText(message.meta)} ${membershipText(message.meta.membership)}`
    case 'read-index':
      return ` token ${message.token}`
    case 'read-index-response':
      return ` token ${message.token} index ${message.index}`
    case 'removed':
      return ` index ${message.index}`
    case 'timeout-now':
      return ''
    default:
      return message satisfies never
  }
}

function entriesText(entries: readonly Entry[]): string {
  return entries.length === 0 ? '' : ` [${entries.map(entryText).join(', ')}]`
}

/** What a batch makes durable, and what it holds back until then. */
export function batchText({ hardState, entries, snapshot }: PersistBatch): string {
  const parts: string[] = []
  if (hardState !== null) {
    parts.push(`term ${hardState.term} vote ${hardState.vote ?? '-'} commit ${hardState.commit}`)
  }
  if (snapshot !== null) parts.push(`snapshot ${positionText(snapshot)}`)
  if (entries.length > 0) parts.push(`entries${entriesText(entries)}`)
  return parts.length === 0 ? 'nothing, in order' : parts.join(', ')
}
