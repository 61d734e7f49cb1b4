import { copyFileSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { untilAnswers } from '../support/lab/waits.ts'

// The README's first swarm: its five commands as they stand there, on three machines whose daemons they start themselves.

const ROOT = resolve(import.meta.dirname, '../..')
const TIMEOUT_MS = 120_000
/** The lab has no registry: what the commands pull is there already. */
const IMAGES = ['nginx:latest', 'nginx:1.27', 'traefik/whoami:v1.10']
const COMMANDS = 5

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
  const [init, join_, create, update, deploy, ...more] = firstSwarm() as string[][] & string[]
  t.equal(more.length, 0, `${COMMANDS} commands`)
  const run = (host: LabHost, args: readonly string[] | undefined, more: readonly string[] = []) =>
    host.swarmctl([...(args ?? []), ...more], { timeoutMs: TIMEOUT_MS, cwd: h1.dir })
  /** What the README's own machine would be. */
  const here = (args: readonly string[] | undefined, token = '') =>
    args?.map((arg) => arg.replace('192.168.1.10', h1.ip).replace(/^SWMTKN-1-…$/, token))

  const told = (await run(h1, here(init), h1.daemonFlags())).stdout
  const token = /--token (SWMTKN-1-\S+)/.exec(told)?.[1]
  for (const host of [h2, h3]) await run(host, here(join_, token), host.daemonFlags())
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
})
