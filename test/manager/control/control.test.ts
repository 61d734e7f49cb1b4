import t from 'tap'
import { newControl, rejects, spec, tcp } from '../../support/control/control-fixture.ts'

t.test(
  'a service is created with Docker’s defaults and found by id, name and prefix',
  async (t) => {
    const { control } = newControl()
    const { ID, Warnings } = await control.createService(spec('web'), { registryAuth: 'secret' })
    t.same(Warnings, [])
    const service = await control.getService('web')
    t.match(service, {
      ID,
      Spec: { Name: 'web', Mode: { Replicated: { Replicas: 1 } } },
      Endpoint: { Spec: {} },
      Swarmctl: { SpecVersion: 1 },
    })
    t.notOk(service.PreviousSpec)
    t.notMatch(JSON.stringify(service), /PullOptions|secret/, 'credentials never leave')
    t.equal((await control.getService(ID)).ID, ID)
    t.equal((await control.getService(ID.slice(0, 25))).ID, ID)
    t.equal((await control.getService('id0')).ID, ID)
    await control.createService(spec('api'))
    await rejects(t, control.getService('id0'), 400, 'service id0 is ambiguous (2 matches found)')
    await rejects(t, control.getService('nope'), 404, 'service nope not found')
    await rejects(
      t,
      control.createService(spec('WEB')),
      409,
      'name conflicts with an existing object: service WEB already exists',
    )
    const full = await control.getService('web', { insertDefaults: true })
    t.match(full.Spec, {
      TaskTemplate: {
        ContainerSpec: { StopGracePeriod: 10e9 },
        RestartPolicy: { Condition: 'any', Delay: 5e9, MaxAttempts: 0 },
      },
      UpdateConfig: { Parallelism: 1, FailureAction: 'pause', Monitor: 5e9, Order: 'stop-first' },
      EndpointSpec: { Mode: 'vip' },
    })
  },
)

t.test(
  'an update names the version it saw; the cluster’s own writes do not make it fail',
  async (t) => {
    const { control, store } = newControl()
    const { ID } = await control.createService(spec('web'))
    const seen = (await control.getService(ID)).Version.Index
    await store.update((tx) => {
      const service = tx.get('service', ID)!
      tx.put('service', { ...service, UpdateStatus: { State: 'completed' } })
    })
    await control.updateService(ID, seen, spec('web', { Labels: { a: '1' } }))
    const updated = await control.getService(ID)
    t.match(updated, { Spec: { Labels: { a: '1' } }, PreviousSpec: { Labels: {} } })
    t.equal(updated.UpdateStatus, undefined, 'an update resets the update status')
    t.equal(updated.Swarmctl.SpecVersion, updated.Version.Index)
    const outOfSequence = 'rpc error: code = Unknown desc = update out of sequence'
    await rejects(t, control.updateService(ID, seen, spec('web')), 500, outOfSequence)
    await rejects(t, control.updateService(ID, 999, spec('web')), 500, outOfSequence)
    const now = updated.Version.Index
    await rejects(t, control.updateService('x', now, spec('web')), 404, 'service x not found')
    const large = { Labels: { large: 'x'.repeat(400_000) } }
    const tooLarge =
      /^the service's spec is too large: \d+ bytes, at most 393216: keep what is large in configs$/
    await rejects(t, control.createService(spec('large', large)), 400, tooLarge)
    await rejects(t, control.updateService(ID, now, spec('web', large)), 400, tooLarge)
    await rejects(t, control.updateService(ID, now, spec('other')), 501, /renaming services/)
    await rejects(
      t,
      control.updateService(ID, now, spec('web', { Mode: { Global: {} } })),
      501,
      'service mode change is not allowed',
    )
  },
)

t.test('a spec from before there was a limit of its size comes back by a rollback', async (t) => {
  const { control, store } = newControl()
  const { ID } = await control.createService(spec('web'))
  const large = 'x'.repeat(400_000)
  await store.update((tx) => {
    const service = tx.get('service', ID)!
    tx.put('service', { ...service, PreviousSpec: { ...service.Spec, Labels: { large } } })
  })
  const { Index } = (await control.getService(ID)).Version
  await control.updateService(ID, Index, {}, { rollback: 'previous' })
  t.match(await control.getService(ID), { Spec: { Labels: { large } } })
})

t.test('a rollback of a job runs it anew, and no rollback is under way for good', async (t) => {
  const { control } = newControl()
  const Mode = { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 } }
  const { ID } = await control.createService(spec('job', { Mode }))
  const now = async () => (await control.getService(ID)).Version.Index
  await control.updateService(ID, await now(), spec('job', { Mode, Labels: { a: 'b' } }))
  await control.updateService(ID, await now(), {}, { rollback: 'previous' })
  const job = await control.getService(ID)
  t.strictSame(job.Spec.Labels, {})
  t.equal(job.UpdateStatus, undefined)
  t.ok((job.JobStatus?.JobIteration.Index ?? 0) > 1)
})

t.test('rollback swaps the specs, and credentials are inherited as asked', async (t) => {
  const { control, store } = newControl()
  const { ID } = await control.createService(spec('web'), { registryAuth: 'first' })
  const auth = () => store.view().get('service', ID)!.Spec.TaskTemplate.PullOptions?.RegistryAuth
  const version = () => store.view().get('service', ID)!.Version.Index
  await rejects(
    t,
    control.updateService(ID, version(), {}, { rollback: 'previous' }),
    400,
    `service ${ID} does not have a previous spec`,
  )
  await control.updateService(ID, version(), spec('web', { Labels: { v: '2' } }))
  t.equal(auth(), 'first', 'without a header they stay')
  await control.updateService(ID, version(), spec('web', { Labels: { v: '3' } }), {
    registryAuth: 'third',
  })
  t.equal(auth(), 'third')
  await control.updateService(ID, version(), spec('web', { Labels: { v: '4' } }), {
    registryAuthFrom: 'previous-spec',
  })
  t.equal(auth(), 'first')
  await control.updateService(ID, version(), {}, { rollback: 'previous' })
  t.match(await control.getService(ID), {
    Spec: { Labels: { v: '3' } },
    PreviousSpec: { Labels: { v: '4' } },
    UpdateStatus: { State: 'rollback_started', Message: 'manually requested rollback' },
  })
  t.equal(auth(), 'third')
})

t.test('a published port has one service', async (t) => {
  const { control } = newControl()
  const { ID } = await control.createService(spec('web', tcp(8080)))
  const ingress = `port '8080' is already in use by service 'web' (${ID}) as an ingress port`
  await rejects(t, control.createService(spec('b', tcp(8080))), 400, ingress)
  await rejects(t, control.createService(spec('b', tcp(8080, 'host'))), 400, ingress)
  const host = await control.createService(spec('h1', tcp(9090, 'host')))
  await control.createService(spec('h2', tcp(9090, 'host')))
  await rejects(
    t,
    control.createService(spec('b', tcp(9090))),
    400,
    `port '9090' is already in use by service 'h1' (${host.ID}) as a host-published port`,
  )
  const two = await Promise.allSettled([
    control.createService(spec('p1', tcp(7000))),
    control.createService(spec('p2', tcp(7000))),
  ])
  t.match(two[1], { status: 'rejected', reason: { message: /port '7000' is already in use/ } })
  const udp = { TargetPort: 80, PublishedPort: 8080, Protocol: 'udp' }
  await control.createService(spec('udp', { EndpointSpec: { Ports: [udp] } }))
})

t.test('secrets and configs: data stays inside, references keep them', async (t) => {
  const { control } = newControl()
  const Data = Buffer.from('hush').toString('base64')
  const { ID } = await control.createSecret({ Name: 'password', Data })
  const config = await control.createConfig({ Name: 'app.conf', Data })
  t.equal((await control.getSecret('password')).Spec.Data, undefined)
  t.equal((await control.listSecrets())[0]?.Spec.Data, undefined)
  t.equal((await control.getConfig('app.conf')).Spec.Data, Data)
  await rejects(
    t,
    control.createSecret({ Name: 'password', Data }),
    409,
    'secret password already exists',
  )
  await rejects(
    t,
    control.createConfig({ Name: 'app.conf', Data }),
    409,
    'config app.conf already exists',
  )

  const container = (SecretID: string, SecretName: string) => ({
    TaskTemplate: {
      ContainerSpec: {
        Image: 'nginx',
        Secrets: [{ SecretID, SecretName, File: { Name: 'p' } }],
        Configs: [{ ConfigID: config.ID, ConfigName: 'app.conf', File: { Name: '/c' } }],
      },
    },
  })
  await rejects(
    t,
    control.createService(spec('web', container('x', 'gone'))),
    400,
    'secret not found: gone',
  )
  const service = await control.createService(spec('web', container(ID, 'password')))
  await rejects(
    t,
    control.removeSecret('password'),
    400,
    "secret 'password' is in use by the following service: web",
  )
  await rejects(t, control.removeConfig(config.ID), 400, /config 'app.conf' is in use/)

  const version = (await control.getSecret(ID)).Version.Index
  await rejects(
    t,
    control.updateSecret(ID, version, { Name: 'other' }),
    400,
    'only updates to Labels are allowed',
  )
  await rejects(
    t,
    control.updateSecret(ID, version - 1, { Name: 'password' }),
    500,
    /out of sequence/,
  )
  await control.updateSecret(ID, version, { Name: 'password', Labels: { a: 'b' } })
  t.same(
    (await control.listSecrets({ label: ['a=b'] })).map((s) => s.ID),
    [ID],
  )
  await control.removeService(service.ID)
  await control.removeSecret('password')
  await rejects(t, control.getSecret('password'), 404, 'secret password not found')
})

t.test('a secret that is being removed cannot be taken into use meanwhile', async (t) => {
  const { control } = newControl()
  const { ID } = await control.createSecret({ Name: 's', Data: 'aHVzaA==' })
  const use = spec('web', {
    TaskTemplate: {
      ContainerSpec: {
        Image: 'i',
        Secrets: [{ SecretID: ID, SecretName: 's', File: { Name: 's' } }],
      },
    },
  })
  const results = await Promise.allSettled([control.createService(use), control.removeSecret(ID)])
  t.same(
    results.map((r) => r.status),
    ['fulfilled', 'rejected'],
  )
  await control.removeService('web')
  const reverse = await Promise.allSettled([control.removeSecret(ID), control.createService(use)])
  t.same(
    reverse.map((r) => r.status),
    ['fulfilled', 'rejected'],
  )
})
