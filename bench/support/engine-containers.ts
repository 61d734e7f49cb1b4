import { eventually } from '../../test/support/lab/eventually.ts'
import type { LabHost } from '../../test/support/lab/host.ts'
import { SERVICE_LABEL } from './engine-watch.ts'

const GONE_TIMEOUT_MS = 120_000

interface Listed {
  readonly Id: string
}

const list = async (host: LabHost, query: string): Promise<string[]> => {
  const answer = await host.engineRequest(`/containers/json?${query}`)
  if (answer.status !== 200) throw new Error(`${host.name}: ${answer.text}`)
  return answer.json<Listed[]>().map(({ Id }) => Id)
}

/** How many containers of a service run, asked of each living host's Engine. */
export const countRunning = async (hosts: readonly LabHost[], service: string): Promise<number> => {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${SERVICE_LABEL}=${service}`] }))
  const lists = await Promise.all(hosts.map((host) => list(host, `filters=${filters}`)))
  return lists.flat().length
}

/** Waits until no Engine holds any container. */
export const untilNoContainers = async (hosts: readonly LabHost[]): Promise<void> => {
  await eventually(
    async () => {
      const lists = await Promise.all(hosts.map((host) => list(host, 'all=1')))
      return lists.every((ids) => ids.length === 0)
    },
    { what: 'all containers are removed', timeoutMs: GONE_TIMEOUT_MS },
  )
}

/** Removes every container of every Engine, so that the next measurement starts from nothing. */
export const removeContainers = async (hosts: readonly LabHost[]): Promise<void> => {
  await Promise.all(
    hosts.map(async (host) => {
      for (const id of await list(host, 'all=1'))
        await host.engineRequest(`/containers/${id}?force=1&v=1`, { method: 'DELETE' })
    }),
  )
}
