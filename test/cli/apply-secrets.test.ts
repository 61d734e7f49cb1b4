/** What `apply` makes of Kubernetes' Secrets: names that tell nothing, and plans without their content. */
import t, { type Test } from 'tap'
import { runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'

const manifest = (password: string, more = '') => `
apiVersion: v1
kind: Secret
metadata: {name: creds}
stringData: {password: ${password}${more}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: work
        image: work:1
        command: [sh, -c, "login $(PASSWORD)"]
        env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: creds, key: password}}}]
        volumeMounts: [{name: creds, mountPath: /creds}]
      volumes: [{name: creds, secret: {secretName: creds}}]
`

const start = async (t: Test) => {
  const node = await startNode(t)
  const run = (text: string, ...flags: string[]) =>
    runCli(['-H', node.host, 'apply', '-f', '-', ...flags], { stdin: text })
  const apply = (text: string) => run(text, '--detach', '--resolve-image', 'never')
  const view = () => node.swarm.store.view()
  const names = () =>
    view()
      .list('secret')
      .map(({ Spec }) => Spec.Name)
      .sort()
  const mounted = () =>
    (view().byName('service', 'work')?.Spec.TaskTemplate.ContainerSpec?.Secrets ?? []).map(
      ({ SecretName, SecretID }) => {
        t.equal(view().byName('secret', SecretName)?.ID, SecretID, 'bound by its id')
        return SecretName
      },
    )
  return { run, apply, names, mounted }
}

t.test('a name tells nothing of the content, and stays as long as that does', async (t) => {
  const one = await start(t)
  t.match(await one.apply(manifest('hunter2')), { code: 0 })
  const [first = ''] = one.names()
  t.match(first, /^creds\.password-[0-9a-f]{10}$/)
  t.strictSame(one.mounted(), [first])

  t.notMatch((await one.apply(manifest('hunter2'))).out, 'Creating')
  t.strictSame(one.names(), [first], 'the same content is the same object')

  t.match((await one.apply(manifest('hunter3'))).out, /^Creating secret creds\.password-/m)
  t.equal(one.names().length, 2)
  t.not(one.mounted()[0], first)
  await one.apply(manifest('hunter2'))
  t.equal(one.names().length, 2)
  t.strictSame(one.mounted(), [first], 'the way back finds the old object')

  const two = await start(t)
  await two.apply(manifest('hunter2'))
  t.not(two.names()[0], first, 'another cluster, another name')
})

t.test('several secrets, also with the same content and long names', async (t) => {
  const one = await start(t)
  const long = `k${'x'.repeat(60)}`
  const more = `, ${long}1: same, ${long}2: same, other: same`
  t.match(await one.apply(manifest('hunter2', more)), { code: 0 })
  const names = one.names()
  t.equal(names.length, 4)
  t.ok(names.every((name) => name.length <= 64))
  t.equal(new Set(one.mounted()).size, 4)
  t.notMatch((await one.apply(manifest('hunter2', more))).out, 'Creating')
  t.strictSame(one.names(), names)
})

t.test('two keys that read the same are two secrets', async (t) => {
  const one = await start(t)
  const text = manifest('one', ', b.c: two').replaceAll('creds', 'a')
  const other = `
---
apiVersion: v1
kind: Secret
metadata: {name: a.b}
stringData: {c: three}
`
  const both = text
    .replace('[{name: a, mountPath: /a}]', '[{name: a, mountPath: /a}, {name: ab, mountPath: /b}]')
    .replace('volumes: [', 'volumes: [{name: ab, secret: {secretName: a.b}}, ')
  t.match(await one.apply(both + other), { code: 0, err: /Secret a: as a variable/ })
  t.equal(new Set(one.mounted()).size, 3)
})

t.test('no plan has the content of a secret, wherever it goes', async (t) => {
  const { run } = await start(t)
  for (const format of ['table', 'json']) {
    const { out, code } = await run(manifest('hunter2'), '--plan', '--format', format)
    t.equal(code, 0)
    for (const encoding of ['utf8', 'base64', 'hex'] as const) {
      t.notOk(out.includes(Buffer.from('hunter2').toString(encoding)), `${format} ${encoding}`)
    }
  }
  const json = JSON.parse((await run(manifest('hunter2'), '--plan', '--format', 'json')).out)
  const [{ Name, Data }] = json.secrets
  t.equal(Name, 'creds.password')
  t.match(Data, /^hmac:[0-9a-f]{12}$/)
  t.match(json.services[0].TaskTemplate.ContainerSpec, {
    Env: [`PASSWORD=${Data}`],
    Command: ['sh', '-c', `login ${Data}`],
    Secrets: [{ SecretName: Name }],
  })
  const table = (await run(manifest('hunter2'), '--plan')).out
  t.match(table, /^secret creds\.password\n {4}Data: hmac:[0-9a-f]{12}$/m)
  const base64 = manifest('hunter2')
    .replace('stringData', 'data')
    .replace('password: hunter2', `password: ${Buffer.from('hunter2').toString('base64')}`)
  t.match((await run(base64, '--plan')).out, /Env\.PASSWORD: hmac:[0-9a-f]{12}$/m)
  t.match(await run(manifest('5'), '--plan'), {
    code: 1,
    err: /Secret creds: stringData\.password must be of type string/,
  })
})
