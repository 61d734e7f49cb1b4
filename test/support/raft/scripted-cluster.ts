// The commands of `test/raft/testdata/cluster/*.txt`: cores whose time, disk and messages move only when told.

import type { ProposeOutcome } from '../../../src/raft/core.ts'
import type { CoreOptions } from '../../../src/raft/core-options.ts'
import {
  EMPTY_MEMBERSHIP,
  isVoter,
  type MemberChange,
  type Membership,
  type MembershipCommand,
} from '../../../src/raft/membership.ts'
import type { Message } from '../../../src/raft/message.ts'
import { type Command, numberOption } from './script.ts'
import { batchText, entryText, membershipText, messageText, positionText } from './script-text.ts'
import { ScriptedNode } from './scripted-node.ts'

const encoder = new TextEncoder()
/** Rounds of messages after which a script is stopped. */
const ROUNDS_MAX = 200
const CHANGES = ['add-voter', 'add-learner', 'remove'] as const

export class ScriptedCluster {
  readonly #nodes = new Map<string, ScriptedNode>()
  #inFlight: Message[] = []
  #lines: string[] = []
  #isQuiet = false

  /** Runs one command; returns what it printed. */
  run(command: Command): readonly string[] {
    this.#lines = []
    this.#isQuiet = command.words.includes('quietly')
    const outcome = this.#dispatch(command)
    if (outcome !== undefined) this.#print(outcome)
    return this.#lines
  }

  #dispatch(command: Command): string | undefined {
    const { name, words } = command
    switch (name) {
      case 'add-nodes':
        return this.#addNodes(command)
      case 'campaign':
        return this.#change(words[0], (node) => node.core.campaign())
      case 'tick':
        return this.#change(words[0], ({ core }) => {
          for (let left = Number(words[1]); left > 0; left -= 1) core.tick()
        })
      case 'closed':
        return this.#change(words[0], ({ core }) => core.onPeerClosed(words[1] ?? ''))
      case 'propose':
        return this.#propose(command)
      case 'change':
        return this.#proposeChange(command)
      case 'transfer':
        return this.#node(words[0]).core.transferLeadership(words[1] ?? '') ? 'begun' : 'refused'
      case 'read':
        return this.#change(words[0], ({ core }) => core.readIndex(Number(words[1])))
      case 'compact':
        return this.#compact(command)
      case 'ready':
        return this.#each(command, (node) => this.#ready(node))
      case 'persist':
        return this.#each(command, (node) => this.#persist(node))
      case 'deliver':
        return this.#each(command, (node) => this.#deliver(node))
      case 'drop':
        return this.#each(command, (node) => this.#drop(node))
      case 'stabilize':
        return this.#stabilize(command)
      case 'snapshot':
        return this.#snapshot(command)
      case 'snapshot-failed':
        return this.#change(words[0], ({ core }) => core.onSnapshotSent(words[1] ?? '', 'failed'))
      case 'restart':
        return this.#change(words[0], (node) => node.restart())
      case 'state':
        return this.#each(command, (node) => this.#print(stateText(node)))
      case 'members':
        return this.#each(command, ({ id, core }) =>
          this.#print(`${id}: ${membershipText(core.membership)}`),
        )
      case 'progress':
        return this.#progress(words[0])
      case 'log':
        return this.#log(words[0])
      default:
        throw new Error(`no command ${name}`)
    }
  }

  // ---- inputs ----

  #addNodes(command: Command): undefined {
    const { words, options } = command
    const voters = options.get('voters') ?? []
    const learners = options.get('learners') ?? []
    const membership: Membership = { ...EMPTY_MEMBERSHIP, voters, learners }
    const index = voters.length === 0 ? 0 : numberOption(command, 'index', 10)
    const log = (options.get('log') ?? []).map(Number)
    const core = coreOptionsOf(command)
    for (let left = Number(words[0]); left > 0; left -= 1) {
      const id = String(this.#nodes.size + 1)
      this.#nodes.set(id, new ScriptedNode(id, { index, membership, options: core, log }))
    }
  }

  /** Does something, and says what became of the role, term and leader. */
  #change(id: string | undefined, action: (node: ScriptedNode) => void): undefined {
    const node = this.#node(id)
    const before = stateText(node)
    action(node)
    const after = stateText(node)
    if (before !== after) this.#print(after)
  }

  #propose({ words }: Command): string {
    const [id, ...commands] = words
    const data = commands.map((text) => encoder.encode(text))
    return proposalText(this.#node(id).core.propose(data))
  }

  #proposeChange({ words, options }: Command): string {
    const { core } = this.#node(words[0])
    const changes: MemberChange[] = CHANGES.flatMap((kind) =>
      (options.get(kind) ?? []).map((id) => ({ kind, id })),
    )
    const command: MembershipCommand =
      changes.length === 0 ? { kind: 'leave-joint' } : { kind: 'change', changes }
    return proposalText(core.proposeMembership(command))
  }

  #compact(command: Command): string {
    const { core } = this.#node(command.words[0])
    const to = Number(command.words[1])
    return `the log begins after ${core.compact({ to, heldTo: to, keepEntriesMax: 0, keepBytesMax: 0 })}`
  }

  // ---- outputs, disk and network ----

  #ready(node: ScriptedNode): void {
    const { id, core } = node
    const ready = core.ready()
    if (ready.persist !== null) {
      node.batches.push(ready.persist)
      this.#print(`${id} to disk: ${batchText(ready.persist)}`)
    }
    for (const message of ready.messages) this.#send(message)
    for (const entry of ready.committed) this.#print(`${id} applies ${entryText(entry)}`)
    node.apply(ready.committed)
    for (const { token, index } of ready.reads) this.#print(`${id} may read ${token} at ${index}`)
    for (const to of ready.snapshotsToSend) this.#print(`${id} sends a snapshot to ${to}`)
    if (core.removed && !node.isRemoved) this.#print(`${id} is removed`)
    node.isRemoved = core.removed
  }

  #persist(node: ScriptedNode): boolean {
    const batch = node.persist()
    if (batch === undefined) return false
    this.#print(`${node.id} on disk: ${batchText(batch)}`)
    for (const message of batch.responses) {
      if (message.to === node.id) node.core.step(message)
      else this.#send(message)
    }
    return true
  }

  #send(message: Message): void {
    this.#print(messageText(message))
    this.#inFlight.push(message)
  }

  #take(to: string): Message[] {
    const taken = this.#inFlight.filter((message) => message.to === to)
    this.#inFlight = this.#inFlight.filter((message) => message.to !== to)
    return taken
  }

  #deliver(node: ScriptedNode): void {
    for (const message of this.#take(node.id)) {
      this.#print(`to ${node.id}: ${messageText(message)}`)
      this.#change(node.id, ({ core }) => core.step(message))
    }
  }

  #drop({ id }: ScriptedNode): void {
    for (const message of this.#take(id)) this.#print(`lost: ${messageText(message)}`)
  }

  /** Ready, disk and messages of some nodes, until nothing happens any more among them. */
  #stabilize(command: Command): undefined {
    const chosen = this.#chosen(command)
    let rounds = 0
    for (let isMoving = true; isMoving; ) {
      isMoving = false
      rounds += 1
      if (rounds > ROUNDS_MAX) throw new Error('it never becomes stable')
      for (const node of chosen) {
        const before = this.#lines.length
        const waiting = this.#inFlight.length
        this.#change(node.id, () => this.#ready(node))
        while (node.batches.length > 0) {
          this.#change(node.id, () => this.#persist(node))
          this.#ready(node)
          isMoving = true
        }
        if (this.#lines.length > before || this.#inFlight.length > waiting) isMoving = true
      }
      for (const node of chosen) {
        if (!this.#inFlight.some(({ to }) => to === node.id)) continue
        isMoving = true
        for (const message of this.#take(node.id)) {
          this.#change(node.id, ({ core }) => core.step(message))
        }
      }
    }
  }

  /** The leader's state at what it has applied is complete on a follower, and the leader hears of it. */
  #snapshot({ words }: Command): undefined {
    const [from = '', to = ''] = words
    const { core } = this.#node(from)
    const { applied: index } = core.log
    const meta = { index, term: core.log.termAt(index) ?? 0, membership: core.membership }
    const message: Message = { kind: 'snapshot', from, to, term: core.term, meta }
    this.#print(messageText(message))
    this.#change(to, (node) => node.core.step(message))
    if (!words.includes('unheard')) core.onSnapshotSent(to, { index })
  }

  // ---- what is shown ----

  #progress(id: string | undefined): undefined {
    for (const [peer, progress] of this.#node(id).core.progress) {
      const { state, match, next } = progress
      const flags = [progress.isPaused && 'paused', progress.inflightFull && 'full'].filter(Boolean)
      const extra = state === 'snapshot' || flags.length === 0 ? '' : ` ${flags.join(' ')}`
      this.#print(`${peer}: ${state} match ${match} next ${next}${extra}`)
    }
  }

  #log(id: string | undefined): undefined {
    const { log } = this.#node(id).core
    const { committed, applied, persisted } = log
    this.#print(`after ${positionText(log.base)}`)
    for (let index = log.base.index + 1; index <= log.last.index; index += 1) {
      const entry = log.at(index)
      if (entry !== undefined) this.#print(entryText(entry))
    }
    this.#print(`durable ${persisted}, committed ${committed}, applied ${applied}`)
  }

  #print(line: string): void {
    if (!this.#isQuiet) this.#lines.push(line)
  }

  #each(command: Command, action: (node: ScriptedNode) => unknown): undefined {
    for (const node of this.#chosen(command)) action(node)
  }

  #chosen({ words }: Command): ScriptedNode[] {
    const ids = words.filter((word) => word !== 'quietly')
    return ids.length === 0 ? [...this.#nodes.values()] : ids.map((id) => this.#node(id))
  }

  #node(id: string | undefined): ScriptedNode {
    const node = this.#nodes.get(id ?? '')
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }
}

function proposalText(outcome: ProposeOutcome): string {
  if (outcome.kind === 'proposed') return `proposed at ${outcome.term}/${outcome.firstIndex}`
  return outcome.kind === 'refused' ? `refused: ${outcome.reason}` : 'refused: not the leader'
}

function stateText({ id, core }: ScriptedNode): string {
  const { role, term, leader, membership } = core
  const kind = isVoter(membership, id)
    ? 'voter'
    : membership.learners.includes(id)
      ? 'learner'
      : 'stranger'
  return `${id}: ${role} (${kind}) term ${term} leader ${leader ?? '-'}`
}

function coreOptionsOf(command: Command): Partial<CoreOptions> {
  return {
    electionTicks: 10,
    heartbeatTicks: 2,
    closedLeaderTicksMax: 4,
    inflightMessagesMax: numberOption(command, 'inflight', 4),
    appendBytesMax: numberOption(command, 'append-bytes', 1024 * 1024),
    applyBytesMax: numberOption(command, 'apply-bytes', 1024 * 1024),
  }
}
