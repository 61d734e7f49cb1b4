import t from 'tap'
import { withReplicas } from '../../../src/api/replicas.ts'
import { newControl, spec } from '../../support/control/control-fixture.ts'

const Resources = { Limits: { NanoCPUs: 5e8 } }
const TaskTemplate = { ContainerSpec: { Image: 'nginx:1' }, Resources }
const scaled = (change: Record<string, unknown> = {}, autoscale: object = {}) =>
  spec('web', {
    TaskTemplate,
    Swarmctl: { Autoscale: { Min: 2, Max: 10, CpuPercent: 50, ...autoscale } },
    ...change,
  })
const replicated = (Replicas: number) => ({ Mode: { Replicated: { Replicas } } })

/** A service that its autoscaler has brought to 6 tasks. */
const grown = async () => {
  const { control, store } = newControl()
  const { ID } = await control.createService(scaled())
  await store.update((tx) => {
    const service = tx.get('service', ID)!
    tx.put('service', {
      ...service,
      Spec: withReplicas(service.Spec, 6),
      Swarmctl: { ...service.Swarmctl, Autoscaled: { At: '', From: 2, To: 6, Reason: '' } },
    })
  })
  const update = async (body: unknown, options = {}) => {
    const { Version } = await control.getService(ID)
    return control.updateService(ID, Version.Index, body, options)
  }
  const service = () => control.getService(ID)
  return { control, update, service }
}

t.test('a service begins with its least', async (t) => {
  const { control } = newControl()
  await control.createService(scaled())
  t.match(await control.getService('web'), { Spec: replicated(2) })
})

t.test('an update that names no number of replicas keeps what they have come to', async (t) => {
  const { update, service } = await grown()
  const updated = await update(scaled({ Labels: { a: '1' } }))
  t.strictSame(updated.Warnings, [])
  t.match(await service(), {
    Spec: { ...replicated(6), Labels: { a: '1' } },
    Swarmctl: { Autoscaled: { To: 6 } },
  })
  await update(scaled({}, { Max: 4 }))
  t.match(await service(), { Spec: replicated(4) }, 'within the new bounds')
  await update(scaled({}, { Min: 5 }))
  t.match(await service(), { Spec: replicated(5) })
})

t.test('one that names a number gets it, within the bounds', async (t) => {
  const { update, service } = await grown()
  await update(scaled(replicated(3)))
  t.match(await service(), { Spec: replicated(3) })
  const { Warnings } = await update(scaled(replicated(50)))
  t.match(await service(), { Spec: replicated(10) })
  t.strictSame(Warnings, ['50 replicas are not within Swarmctl.Autoscale, 2 to 10: 10'])
  await update(scaled(replicated(0)))
  t.match(await service(), { Spec: replicated(0) }, 'none is a pause')
})

t.test('a rollback takes the spec back and not the number of tasks', async (t) => {
  const { control, update, service } = await grown()
  await update(scaled({ Labels: { a: '1' } }))
  await update(scaled(replicated(3)), {})
  await update({}, { rollback: 'previous' })
  t.match(await service(), {
    Spec: { ...replicated(3), Labels: { a: '1' } },
    UpdateStatus: { State: 'rollback_started' },
  })
  const plain = await control.createService(spec('plain', replicated(2)))
  const { Version } = await control.getService(plain.ID)
  await control.updateService(plain.ID, Version.Index, spec('plain', replicated(5)))
  const now = await control.getService(plain.ID)
  await control.updateService(plain.ID, now.Version.Index, {}, { rollback: 'previous' })
  t.match(await control.getService(plain.ID), { Spec: replicated(2) }, 'without one it does')
})

t.test('a client that does not know of it ends it, and is told', async (t) => {
  const { update, service } = await grown()
  const { Warnings } = await update(spec('web', { TaskTemplate, ...replicated(6) }))
  t.match(Warnings, [/the service is not scaled by demand any more/])
  const { Swarmctl } = await service()
  t.equal(Swarmctl.Autoscaled, undefined)
  const known = await grown()
  const asked = spec('web', { TaskTemplate, ...replicated(6), Swarmctl: {} })
  t.strictSame((await known.update(asked)).Warnings, [], 'who says so is not')
})

t.test('a forecast counts the tasks that there will be', async (t) => {
  const { control } = await grown()
  const wanted = async (body: unknown) => (await control.forecast({ Services: [body] }))[0]?.Wanted
  t.equal(await wanted(scaled()), 6)
  t.equal(await wanted(scaled({}, { Max: 3 })), 3)
  t.equal(await wanted(scaled({ Name: 'new' })), 2)
})
