/** What one service can't have keeps no other waiting. */
import t from 'tap'
import type { PortConfig } from '../../../src/api/service-spec.ts'
import { World } from '../../support/orchestration/world.ts'

const SECOND_NS = 1e9

const published = (
  PublishedPort: number,
  PublishMode: PortConfig['PublishMode'] = 'ingress',
): { EndpointSpec: { Ports: PortConfig[] } } => ({
  EndpointSpec: { Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort, PublishMode }] },
})

for (const mode of ['ingress', 'host'] as const) {
  t.test(
    `a rollback to a port that another service has by now (${mode}) leaves the update paused`,
    async (t) => {
      const world = await World.start(2)
      await world.createService('web', {
        replicas: 2,
        ...published(80),
        UpdateConfig: { Parallelism: 1, FailureAction: 'rollback', Monitor: 5 * SECOND_NS },
      })
      await world.clock.advance(3000)
      await world.updateService('web', { image: 'crash:1500', ...published(81) })
      await world.clock.advance(300)
      await world.createService('other', { replicas: 1, ...published(80, mode) })
      await world.clock.advance(10_000)
      t.match(world.service('web'), {
        Spec: published(81),
        UpdateStatus: {
          State: 'paused',
          Message:
            /^update paused: it can't be rolled back: port '80' is already in use by service 'other'/,
        },
      })
      await world.createService('innocent', { replicas: 3 })
      await world.clock.advance(5000)
      t.equal(world.running('innocent').length, 3)
      t.equal(world.running('other').length, 1)
      t.strictSame(world.warnings, [])
    },
  )
}

t.test('a service that grows beyond a transaction', async (t) => {
  const world = await World.start(2)
  const Ports = Array.from({ length: 10_001 }, (_, at) => ({
    ...{ Protocol: 'udp', TargetPort: 10_000 + at, PublishedPort: 10_000 + at },
    PublishMode: 'ingress',
  })) as PortConfig[]
  // As nobody gets it past control: with its endpoint it is stored three times.
  await world.createService('large', { replicas: 1, EndpointSpec: { Ports } })
  await world.createService('innocent', { replicas: 3 })
  await world.clock.advance(60_000)
  t.equal(world.running('innocent').length, 3)
  t.equal(world.running('large').length, 0)
  t.equal(world.warnings.length, 1, 'said once')
  t.match(
    world.warnings[0],
    /^can't allocate: the change is too large: \d+ bytes, at most 1572864$/,
  )
})
