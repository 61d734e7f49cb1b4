import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'

const manifest = (image: string, level: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 80}]
        volumeMounts: [{name: conf, mountPath: /etc/web}]
      volumes: [{name: conf, configMap: {name: conf}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {level: ${level}}
`

t.test('apply', async (t) => {
  const node = await ApiNode.start()
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-apply-'))
  t.teardown(async () => {
    await node.stop()
    rmSync(dir, { recursive: true })
  })
  const folder = join(dir, 'manifests')
  mkdirSync(folder)
  const file = join(folder, 'web.yml')
  writeFileSync(file, manifest('web:1', 'info'))
  writeFileSync(join(folder, 'notes.txt'), 'not a manifest')
  writeFileSync(join(folder, 'later.yml'), '# kind: Deployment\n')
  const run = (line: string, stdin = '', host = node.host) =>
    runCli(['-H', host, ...line.split(' ')], { stdin })

  const nobody = 'unix:///nowhere/no.sock'
  const planned = await run(`apply -f ${file} --plan`, '', nobody)
  t.match(planned, { code: 0, err: '' }, 'needs no cluster')
  t.match(planned.out, /^network default_pods\nconfig conf\.level-[0-9a-f]+\n {4}Data: sha256:/)
  t.match(planned.out, /^service web\n[\s\S]*^ {4}Mode\.Replicated\.Replicas: 3$/m)
  t.match(planned.out, /^ {4}TaskTemplate\.ContainerSpec\.Image: web:1$/m)
  const everywhere = manifest('web:1', 'info').replace('Deployment', 'DaemonSet')
  const global = await run('apply -f - --plan', everywhere.replace('  replicas: 3\n', ''), nobody)
  t.match(global.out, /^ {4}Mode\.Global: \{\}$/m, 'of a DaemonSet')
  const json = JSON.parse(
    (await run(`apply -f - --plan --format json`, manifest('web:1', 'info'), nobody)).out,
  )
  t.match(json, { services: [{ Name: 'web' }], configs: [{}], networks: [{}], secrets: [] })

  const flags = '-d --resolve-image never'
  const first = await run(`apply ${flags} -f ${folder}`)
  t.match(first, { code: 0, err: '' })
  t.match(
    first.out,
    /^Creating network default_pods\nCreating config conf\.level-.*\nCreating service web\n$/,
  )
  const spec = () => node.swarm.store.view().byName('service', 'web')?.Spec
  const config = spec()?.TaskTemplate.ContainerSpec?.Configs?.[0]
  t.equal(node.swarm.store.view().byName('config', config?.ConfigName ?? '')?.ID, config?.ConfigID)
  t.match((await run('stack services default')).out, /web +replicated +0\/3/)

  writeFileSync(file, manifest('web:2', 'debug'))
  t.match(await run(`apply ${flags} -f ${file}`), {
    code: 0,
    out: /^Creating config conf\.level-.*\nUpdating service web \(id: .*\)\n$/,
  })
  t.equal(spec()?.TaskTemplate.ContainerSpec?.Image, 'web:2')
  t.not(spec()?.TaskTemplate.ContainerSpec?.Configs?.[0]?.ConfigName, config?.ConfigName)

  t.match(await run(`apply -f ${join(folder, 'later.yml')}`), {
    code: 1,
    err: /later\.yml: there is no object in it\n$/,
  })
  t.match(await run(`apply -f ${join(dir, 'none.yml')}`), {
    code: 1,
    err: /none\.yml: cannot be read/,
  })
  const web = 'https://example.com/web.yml'
  t.match(await run(`apply -f ${web}`), {
    code: 1,
    err: `swarmctl: ${web}: is not fetched: write "curl -fsSL ${web} | swarmctl apply -f -"\n`,
  })
  t.match(await run('apply -f - --plan -f -', manifest('web:1', 'info')), {
    code: 1,
    err: 'swarmctl: -: standard input can be read once\n',
  })
  t.match(await run(`apply -f ${file} --format json`), { code: 1, err: /say --plan/ })
  t.match(await run(`apply --plan -f ${file} -f -`, manifest('web:1', 'info')), {
    code: 1,
    err: `swarmctl: -:4: Deployment web: metadata.name is there twice, also at ${file}:4\n`,
  })
  t.match(await run(`apply -f -`, 'kind: Pod\napiVersion: v1\nmetadata: {name: p}'), {
    code: 1,
    err: 'swarmctl: -:1: Pod p: kind Pod is not supported: make it a Deployment or a Job\n',
  })
})
