import type t from 'tap'
import type { Clock } from '../../../src/api/clock.ts'
import type { SwarmctlError } from '../../../src/api/errors.ts'
import { Control } from '../../../src/manager/control/control.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'

const clock: Clock = { nowMs: () => 1_700_000_000_000, schedule: () => () => {} }

/** A control over a store in memory. */
export const newControl = () => {
  const state = new StoreState()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  let count = 0
  const control = new Control({
    store,
    clock,
    newId: () => `id${String(++count).padStart(23, '0')}`,
    newJoinToken: (root) => `SWMTKN-1-${root}-${++count}`,
  })
  return { store, control }
}

/** A service's body. */
export const spec = (name: string, change: Record<string, unknown> = {}) => ({
  Name: name,
  TaskTemplate: { ContainerSpec: { Image: 'nginx:1' } },
  ...change,
})

/** A body's part that publishes TCP port 80. */
export const tcp = (port: number, PublishMode = 'ingress') => ({
  EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: port, PublishMode }] },
})

type Test = Pick<typeof t, 'rejects'>

/** Asserts status and text of a refusal. */
export const rejects = (
  t: Test,
  promise: Promise<unknown>,
  status: number,
  text: RegExp | string,
) =>
  t.rejects(
    promise.catch((error: SwarmctlError) => {
      throw Object.assign(error, { status: error.httpStatus })
    }),
    { status, message: text },
  )
