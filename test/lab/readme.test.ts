import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { execInTask, nodesByName, tasksOf, untilRunning } from '../support/lab/api.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { untilAnswers } from '../support/lab/waits.ts'

// The README's first swarm: its five commands as they stand there, on three machines whose daemons they start themselves. And the example that has most in it.

const ROOT = resolve(import.meta.dirname, '../..')
const TIMEOUT_MS = 120_000
/** The lab has no registry: what the commands pull is there already. */
const IMAGES = ['nginx:latest', 'nginx:1.27', 'traefik/whoami:v1.10']
const COMMANDS = 5
type Args = readonly string[]
/** What examples/guestbook.yml pulls is replaced; its migration takes a while, and must have run before `web` begins. */
const GUESTBOOK_OVERRIDE = `
services:
  web: { image: "swarmctl-test:1" }
  migrate:
    image: swarmctl-test:1
    command: [sh, -c, 'sleep 1; test "$$(cat /run/secrets/password)" = hush']
  database:
    image: swarmctl-test:1
    healthcheck: { test: [CMD, test, -e, /run/secrets/password], interval: 1s }
`

/** The lines of the block below the heading, without their comments. */
const firstSwarm = (): string[][] => {
  const block = /## The first swarm in five commands\n\n```sh\n(.*?)```/s.exec(
    readFileSync(join(ROOT, 'README.md'), 'utf8'),
  )?.[1]
  const lines = (block ?? '').trim().split('\n')
  return lines.map((line) => line.replace(/ +#.*/, '').split(' ').slice(1))
}

labTest(t, "the README's five commands", { hosts: 3 }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  for (const host of lab.hosts) {
    for (const image of IMAGES) await host.docker(['tag', 'swarmctl-test:1', image])
  }
  const commands = firstSwarm()
  t.equal(commands.length, COMMANDS)
  const [init = [], enter = [], create = [], update = [], deploy = []] = commands
  const run = (host: LabHost, args: Args, flags: Args = []) =>
    host.swarmctl([...args, ...flags], { timeoutMs: TIMEOUT_MS, cwd: h1.dir })
  /** With this lab's address and token in the place of the README's. */
  const here = (args: Args, token = '') =>
    args.map((arg) => arg.replace('192.168.1.10', h1.ip).replace(/^SWMTKN-1-…$/, token))

  const told = (await run(h1, here(init), h1.daemonFlags())).stdout
  const token = /--token (SWMTKN-1-\S+)/.exec(told)?.[1]
  for (const host of [h2, h3]) await run(host, here(enter, token), host.daemonFlags())
  t.match((await run(h1, ['node', 'ls'])).stdout, /h1 .*Leader[\s\S]*h2 +Ready[\s\S]*h3 +Ready/)
  await run(h1, create)
  await run(h1, update)
  const image = ['service', 'inspect', '-f', '{{.Spec.TaskTemplate.ContainerSpec.Image}}', 'web']
  t.match((await run(h1, image)).stdout, /^nginx:1\.27/)
  copyFileSync(join(ROOT, 'examples/web.yml'), join(h1.dir, 'web.yml'))
  await run(h1, deploy)
  for (const host of lab.hosts) {
    for (const port of [80, 8080]) {
      t.match(await untilAnswers(host, `http://${host.ip}:${port}`, /"version"/), /"version":"1"/)
    }
  }

  await t.test(
    'examples/guestbook.yml: who waits for whom, content, a label, profiles',
    async (t) => {
      await run(h1, ['stack', 'rm', 'demo'])
      await run(h1, ['node', 'update', '--label-add', 'disk=ssd', 'h2'])
      const override = join(h1.dir, 'guestbook-override.yml')
      writeFileSync(override, GUESTBOOK_OVERRIDE)
      const files = ['-c', join(ROOT, 'examples/guestbook.yml'), '-c', override]
      const deployment = ['stack', 'deploy', '--quiet', '--resolve-image', 'never', ...files]
      const env = { DB_PASSWORD: 'hush' }
      await h1.swarmctl([...deployment, 'guestbook'], { timeoutMs: TIMEOUT_MS, env })
      const sites = await untilRunning(h1, 'guestbook_web', 2)
      const [database] = await untilRunning(h1, 'guestbook_database', 1)
      const [migrate] = await tasksOf(h1, 'guestbook_migrate')
      t.equal(migrate?.Status.State, 'complete', 'the migration ran before')
      const migratedMs = Date.parse(migrate?.Status.Timestamp ?? '')
      t.ok(sites.every(({ CreatedAt }) => Date.parse(CreatedAt) >= migratedMs))
      t.equal(database?.NodeID, (await nodesByName(h1)).get('h2')?.ID)
      const page = ['cat', '/usr/share/nginx/html/index.html']
      const shown = sites[0] && (await execInTask(lab.hosts, sites[0], page)).stdout
      t.equal(shown, '<h1>Guestbook</h1>\n')
      await untilAnswers(h3, `http://${h3.ip}:8080`, /"version"/)
      const services = (await run(h1, ['stack', 'services', 'guestbook'])).stdout
      t.notMatch(services, /console/, 'a profile that nobody asked for')
    },
  )
})
