import assert from 'node:assert'
import type { LabHost } from '../../test/support/lab/host.ts'
import { Lab } from '../../test/support/lab/lab.ts'
import { identify } from '../../test/support/lab/process-table.ts'
import type { Narrator } from './narrator.ts'
import type { DemoNode, DemoSite } from './site.ts'
import { storeState } from './state.ts'

const PORT = 8080

/** Several hosts in network namespaces. They end with this process. */
export const openLabSite = async (
  narrator: Narrator,
  options: { readonly dir: string; readonly nodes: number },
): Promise<DemoSite> => {
  narrator.chapter(`${options.nodes} machines, each with a Docker Engine of its own`)
  narrator.say('Network namespaces on this machine: no virtual machines, no registry.')
  const lab = await Lab.create({ hosts: options.nodes, name: 'demo' })
  const keeper = identify(process.pid)
  assert(keeper !== undefined, 'this process is alive')
  storeState(options.dir, { kind: 'lab', keeper })
  await Promise.all(lab.hosts.map((host) => host.spawnDaemon()))
  for (const host of lab.hosts) {
    const version = await host.docker(['version', '--format', '{{.Server.Version}}'])
    narrator.say(
      `${host.name}  ${host.ip}  Docker Engine ${version.stdout.trim()}, swarmctl daemon`,
    )
  }
  const hostOf = (node: DemoNode): LabHost => {
    const host = lab.hosts.find((one) => one === node)
    assert(host !== undefined, 'a node of this lab')
    return host
  }
  return {
    nodes: lab.hosts,
    port: PORT,
    initArgs: [],
    power: {
      off: (node) => hostOf(node).die(),
      on: async (node) => {
        await hostOf(node).reboot()
        await hostOf(node).spawnDaemon()
      },
    },
  }
}
