import type { Clock } from '../api/clock.ts'
import type { NewId } from '../api/id.ts'
import type { Log } from '../api/log.ts'
import { Allocator } from '../manager/allocator/allocator.ts'
import { allocateTaskAddresses } from '../manager/allocator/task-addresses.ts'
import { Autoscaler } from '../manager/autoscaler/autoscaler.ts'
import { RootRotation } from '../manager/ca/root-rotation.ts'
import type { Dispatcher } from '../manager/dispatcher/dispatcher.ts'
import type { ConsensusGroup } from '../manager/membership/membership-manager.ts'
import { MembershipManager } from '../manager/membership/membership-manager.ts'
import { WayBack, type WayBackDeps } from '../manager/membership/way-back.ts'
import { Orchestrator } from '../manager/orchestrator/orchestrator.ts'
import { TaskReaper } from '../manager/orchestrator/task-reaper.ts'
import { Scheduler } from '../manager/scheduler/scheduler.ts'
import type { Store } from '../manager/store/store.ts'
import { newJoinToken } from '../pki/join-token.ts'

export interface LeaderLoopsDeps {
  store: Store
  dispatcher: Dispatcher
  group: ConsensusGroup
  clock: Clock
  log: Log
  newId: NewId
  /** Sends to a node over the cluster port; best effort. */
  notify: WayBackDeps['notify']
}

/** What runs on the leader only. Started when its store holds all that was committed before it led, stopped when it leads no more. */
export class LeaderLoops {
  readonly autoscaler: Autoscaler
  readonly #deps: LeaderLoopsDeps
  readonly #loops: { start(): void; stop(): void | Promise<void> }[]

  constructor(deps: LeaderLoopsDeps, options: { selfId: string }) {
    this.#deps = deps
    const { store, clock, log, newId } = deps
    const common = { store, clock, newId, log }
    this.autoscaler = new Autoscaler({
      ...common,
      askUsage: (taskIds, onReport, signal) =>
        deps.dispatcher.calls.taskUsage(taskIds, onReport, signal),
    })
    // In the order of a task's life, so that a start handles what is there in one pass.
    this.#loops = [
      new Allocator(common),
      new Orchestrator(common),
      new Scheduler({ ...common, allocateTaskAddresses }),
      new TaskReaper(common),
      this.autoscaler,
      new MembershipManager({ store, clock, log, group: deps.group }, options),
      new WayBack({ store, clock, notify: deps.notify }, options),
      new RootRotation({
        ...{ store, clock, log, agents: deps.dispatcher },
        newJoinToken: (rootCACert) => newJoinToken(rootCACert, newId),
      }),
    ]
  }

  start(): void {
    this.#deps.dispatcher.start()
    for (const loop of this.#loops) loop.start()
  }

  async stop(): Promise<void> {
    // First: a loop may wait long for a write that nobody confirms, and the next leader does not wait that long for the agents.
    this.#deps.dispatcher.stop()
    for (const loop of this.#loops.toReversed()) await loop.stop()
  }
}
