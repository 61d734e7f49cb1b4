import type { AutoscaleReport } from '../../api/autoscale.ts'
import type { Clock } from '../../api/clock.ts'
import type { Log } from '../../api/log.ts'
import type { ObjectChange } from '../../api/object.ts'
import { replicasOf, withReplicas } from '../../api/replicas.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import type { NodeUsage } from '../../api/usage.ts'
import { ReconcileLoop, type ReconcilerDeps } from '../orchestrator/reconcile-loop.ts'
import { isUpdateOpen } from '../orchestrator/slot-plan.ts'
import type { Store } from '../store/store.ts'
import type { Tx } from '../store/tx.ts'
import { PERIOD_MS, REPORT_LIMIT_MS } from './limits.ts'
import { planScale, type ScaleChange, type ScalePlan } from './plan-scale.ts'
import type { ScaleHistory } from './scale-history.ts'
import { UseTable } from './use-table.ts'

/** Asks nodes what some of their tasks use. `onReport` gets each answer when it comes; none comes after the signal. */
export type AskUsage = (
  taskIds: ReadonlyMap<string, readonly string[]>,
  onReport: (usage: NodeUsage) => void,
  signal: AbortSignal,
) => Promise<void>

/**
 * Chooses the number of replicas of the services that have `Swarmctl.Autoscale`. Runs on the leader. What nodes report and what was called
 * for lately is kept in memory alone: a new leader decides nothing before it has measured by itself.
 */
export class Autoscaler {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Log
  readonly #askUsage: AskUsage
  readonly #loop: ReconcileLoop
  readonly #uses = new UseTable()
  /** By service id. */
  readonly #histories = new Map<string, ScaleHistory>()
  readonly #reports = new Map<string, AutoscaleReport>()
  /** Whether there are services to look at, every period. */
  #isLooking = false
  #cancelTick: (() => void) | undefined
  #asking = new AbortController()
  #unwatch: (() => void) | undefined

  constructor(deps: ReconcilerDeps & { askUsage: AskUsage }) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#log = deps.log.child({ part: 'autoscaler' })
    this.#askUsage = deps.askUsage
    this.#loop = new ReconcileLoop({
      run: () => this.#reconcile(),
      clock: deps.clock,
      log: this.#log,
    })
  }

  start(): void {
    this.#asking = new AbortController()
    this.#unwatch = this.#store.watch((changes) => this.#onChanges(changes))
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#asking.abort()
    await this.#loop.stop()
    this.#cancelTick?.()
    this.#forget()
  }

  /** What was seen and done last; undefined before the first look. */
  report(serviceId: string): AutoscaleReport | undefined {
    return this.#reports.get(serviceId)
  }

  /** While it looks every period, a change can wait for the next time. */
  #onChanges(changes: readonly ObjectChange[]): void {
    if (this.#isLooking) return
    const isWork = changes.some(
      (change) =>
        change.kind === 'service' && change.object !== undefined && isScaled(change.object),
    )
    if (!isWork) return
    this.#isLooking = true
    this.#loop.trigger()
  }

  async #reconcile(): Promise<void> {
    this.#cancelTick?.()
    this.#cancelTick = undefined
    const services = this.#services()
    this.#isLooking = services.length > 0
    if (!this.#isLooking) {
      this.#forget()
      return
    }
    try {
      await this.#look(services)
    } finally {
      this.#cancelTick = this.#clock.schedule(PERIOD_MS, () => this.#loop.trigger())
    }
  }

  async #look(services: readonly Service[]): Promise<void> {
    await this.#measure(services)
    if (this.#asking.signal.aborted) return
    // They may have changed while nodes answered.
    const changes = this.#services().flatMap((service) => this.#plan(service).change ?? [])
    if (changes.length === 0) return
    await this.#store.batch(changes.map((change) => (tx) => applyChange(tx, change)))
    for (const { serviceId, from, to, reason } of changes) {
      this.#log.info({ service: serviceId, from, to }, `scaled: ${reason}`)
    }
  }

  /** The services that are scaled by demand, as they are now; what is remembered of others is dropped. */
  #services(): Service[] {
    const services = this.#store.view().list('service').filter(isScaled)
    const ids = new Set(services.map(({ ID }) => ID))
    for (const id of this.#reports.keys()) if (!ids.has(id)) this.#reports.delete(id)
    for (const id of this.#histories.keys()) if (!ids.has(id)) this.#histories.delete(id)
    return services
  }

  /** Only nodes that run tasks of such services are asked, and only about these. */
  async #measure(services: readonly Service[]): Promise<void> {
    const running = services
      .flatMap(({ ID }) => this.#wanted(ID))
      .filter(({ Status }) => Status.State === 'running')
    this.#uses.watch(new Set(running.map(({ ID }) => ID)), this.#clock.nowMs())
    if (running.length === 0) return
    const tasksByNode = Map.groupBy(running, ({ NodeID }) => NodeID)
    const idsByNode = new Map(
      [...tasksByNode].map(([id, tasks]) => [id, tasks.map(({ ID }) => ID)]),
    )
    const limit = new AbortController()
    const cancel = this.#clock.schedule(REPORT_LIMIT_MS, () => limit.abort())
    try {
      await this.#askUsage(
        idsByNode,
        (usage) => this.#uses.record(usage, this.#clock.nowMs()),
        AbortSignal.any([limit.signal, this.#asking.signal]),
      )
    } finally {
      cancel()
    }
  }

  #wanted(serviceId: string): Task[] {
    return this.#store
      .view()
      .tasksByService(serviceId)
      .filter((task) => isWanted(task.DesiredState) && !isTerminal(task.Status.State))
  }

  #plan(service: Service): ScalePlan {
    const nowMs = this.#clock.nowMs()
    const uses = this.#wanted(service.ID).map((task) => this.#uses.useOf(task, nowMs))
    const plan = planScale(service, uses, this.#histories.get(service.ID), nowMs)
    this.#histories.set(service.ID, plan.history)
    this.#reports.set(service.ID, plan.report)
    return plan
  }

  #forget(): void {
    this.#uses.clear()
    this.#histories.clear()
    this.#reports.clear()
    this.#isLooking = false
  }
}

const isScaled = ({ Spec }: Service): boolean => Spec.Swarmctl?.Autoscale !== undefined

/** Writes a change, or nothing when the service is not any more as it was looked at. No user's change: `SpecVersion` stays. */
const applyChange = (tx: Tx, change: ScaleChange): void => {
  const { serviceId, specVersion, from, to, reason, at } = change
  const service = tx.get('service', serviceId)
  if (service === undefined || !isScaled(service) || isUpdateOpen(service)) return
  if (service.Swarmctl.SpecVersion !== specVersion || replicasOf(service.Spec) !== from) return
  tx.put('service', {
    ...service,
    Spec: withReplicas(service.Spec, to),
    Swarmctl: {
      ...service.Swarmctl,
      Autoscaled: { At: at, From: from, To: to, Reason: reason },
    },
  })
}
