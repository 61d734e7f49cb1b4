import type { LabHost } from '../../test/support/lab/host.ts'
import { removeContainers } from './engine-containers.ts'
import { EngineWatch, SERVICE_LABEL } from './engine-watch.ts'
import { COMMAND, IMAGE } from './workload.ts'

const TIMEOUT_MS = 180_000

/**
 * What no orchestrator can beat by much: the same containers created and started straight on the Engines, spread over the hosts, all at
 * the same time. Milliseconds from the first request to the last start.
 */
export const measureFloor = async (hosts: readonly LabHost[], count: number): Promise<number> => {
  const name = `floor-${count}`
  const watch = await EngineWatch.open(hosts, name)
  try {
    const beganMs = Date.now()
    const starts = Array.from({ length: count }, (_, index) =>
      startContainer(hosts[index % hosts.length] as LabHost, name),
    )
    const [, endedMs] = await Promise.all([
      Promise.all(starts),
      watch.until(name, (running) => running.length === count, TIMEOUT_MS),
    ])
    return endedMs - beganMs
  } finally {
    watch.close()
    await removeContainers(hosts)
  }
}

const startContainer = async (host: LabHost, name: string): Promise<void> => {
  const body = { Image: IMAGE, Entrypoint: COMMAND, Labels: { [SERVICE_LABEL]: name } }
  const options = { body, timeoutMs: TIMEOUT_MS }
  const created = await host.engineRequest('/containers/create', options)
  if (created.status !== 201) throw new Error(`${host.name}: ${created.text}`)
  const { Id } = created.json<{ Id: string }>()
  const path = `/containers/${Id}/start`
  const started = await host.engineRequest(path, { method: 'POST', timeoutMs: TIMEOUT_MS })
  if (started.status !== 204) throw new Error(`${host.name}: ${started.text}`)
}
