/**
 * `npm run lab -- 3` starts hosts to play with, each with its own Docker Engine, says how to reach them, and
 * removes everything on Ctrl-C. With `--cluster` every host runs the built daemon too.
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { Lab } from '../test/support/lab/lab.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { cluster: { type: 'boolean', default: false } },
})
const hosts = Number(positionals[0] ?? 3)
const lab = await Lab.create({ hosts, clients: 1 })
if (values.cluster) await Promise.all(lab.hosts.map((host) => host.spawnDaemon()))
for (const machine of [...lab.hosts, ...lab.clients]) {
  process.stdout.write(
    `${machine.name}  ${machine.ip}  ${machine.dir}\n  shell: ${machine.entrance().join(' ')} sh\n`,
  )
}
for (const host of lab.hosts) {
  process.stdout.write(`${host.name}  export DOCKER_HOST=unix://${host.dockerSocket}`)
  process.stdout.write(`  SWARMCTL_HOST=unix://${host.swarmctlSocket}\n`)
}
process.stdout.write('Ctrl-C removes them\n')
// The lab ends with this process, whatever ends it.
setInterval(() => {}, 2 ** 30)
await once(process, 'SIGINT')
