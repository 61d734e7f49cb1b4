// The commands of `test/raft/testdata/membership/*.txt` and `test/raft/testdata/quorum/*.txt`.

import {
  applyMembership,
  EMPTY_MEMBERSHIP,
  type MemberChange,
  type Membership,
  type MembershipCommand,
  refusalOf,
} from '../../../src/raft/membership.ts'
import { committedIndex, voteResult } from '../../../src/raft/quorum.ts'
import type { Command } from './script.ts'
import { membershipText } from './script-text.ts'

const CHANGES = ['add-voter', 'add-learner', 'remove'] as const
const encoder = new TextEncoder()

export class ScriptedMembership {
  #membership: Membership = EMPTY_MEMBERSHIP

  run({ name, words }: Command): readonly string[] {
    switch (name) {
      case 'change':
        return this.#apply({ kind: 'change', changes: words.map(changeOf) })
      case 'leave-joint':
        return this.#apply({ kind: 'leave-joint' })
      case 'contexts':
        return [...this.#membership.contexts].map(
          ([id, context]) => `${id}: ${new TextDecoder().decode(context)}`,
        )
      default:
        throw new Error(`no command ${name}`)
    }
  }

  #apply(command: MembershipCommand): string[] {
    const refusal = refusalOf(this.#membership, command)
    if (refusal !== undefined) return [`refused: ${refusal}`]
    this.#membership = applyMembership(this.#membership, command)
    return [membershipText(this.#membership)]
  }
}

/** `add-voter:4`, or `add-voter:4:host` with a context. */
function changeOf(text: string): MemberChange {
  const [name, id = '', context] = text.split(':')
  const kind = CHANGES.find((one) => one === name)
  if (kind === undefined) throw new Error(`no change ${name}`)
  if (kind === 'remove' || context === undefined) return { kind, id }
  return { kind, id, context: encoder.encode(context) }
}

/** `commit voters=(1,2) outgoing=(3) match=(1:12,2:_)`, `vote voters=(1,2) votes=(1:y,2:n)`. */
export function runQuorumCommand({ name, options }: Command): readonly string[] {
  const quorum = { voters: options.get('voters') ?? [], outgoing: options.get('outgoing') ?? [] }
  switch (name) {
    case 'commit': {
      const match = pairs(options.get('match'))
      const index = committedIndex(quorum, (id) => Number(match.get(id)?.replace('_', '0') ?? 0))
      return [index === Number.MAX_SAFE_INTEGER ? 'everything' : String(index)]
    }
    case 'vote': {
      const votes = [...pairs(options.get('votes'))].map(
        ([id, vote]) => [id, vote === 'y'] as const,
      )
      return [voteResult(quorum, new Map(votes))]
    }
    default:
      throw new Error(`no command ${name}`)
  }
}

function pairs(texts: readonly string[] = []): Map<string, string> {
  return new Map(texts.map((text) => text.split(':') as [string, string]))
}
