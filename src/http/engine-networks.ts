import { invalid, toSwarmctlError } from '../api/errors.ts'
import { engineJson } from './engine-proxy.ts'
import type { EnginePort } from './ports.ts'
import { OVERLAY_BRIDGE_LABEL } from './render-network.ts'

/** The containers that this node's Engine has on an overlay's bridge, as `GET /networks/{id}` shows them; none while it is down. */
export const localContainers = async (engine: EnginePort, networkId: string): Promise<object> => {
  const filters = JSON.stringify({ label: [`${OVERLAY_BRIDGE_LABEL}=${networkId}`] })
  try {
    const query = `filters=${encodeURIComponent(filters)}`
    const [bridge] = (await engineJson(engine, `/networks?${query}`)) as { Id: string }[]
    if (bridge === undefined) return {}
    const whole = (await engineJson(engine, `/networks/${bridge.Id}`)) as { Containers?: object }
    return whole.Containers ?? {}
  } catch (error) {
    const { code } = toSwarmctlError(error)
    // Another manager's question, or a bridge that has just gone.
    if (code === 'ENGINE_UNAVAILABLE' || code === 'PERMISSION_DENIED' || code === 'NOT_FOUND') {
      return {}
    }
    throw error
  }
}

/** Removes the Engine's unused networks, but never an overlay's bridge; returns the names. */
export const pruneEngine = async (engine: EnginePort, url: string): Promise<string[]> => {
  const at = url.indexOf('?')
  const query = new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
  query.set('filters', JSON.stringify(withoutBridges(query.get('filters'))))
  const path = `${at < 0 ? url : url.slice(0, at)}?${query}`
  const answer = (await engineJson(engine, path, undefined, 'POST')) as {
    NetworksDeleted?: string[] | null
  }
  return answer.NetworksDeleted ?? []
}

/** The filters with one more: our bridges stay, used or not. */
const withoutBridges = (text: string | null): object => {
  const filters = text ? (JSON.parse(text) as Record<string, unknown>) : {}
  const not = filters['label!'] ?? {}
  const labels = Array.isArray(not) ? Object.fromEntries(not.map((label) => [label, true])) : not
  return { ...filters, 'label!': { ...labels, [OVERLAY_BRIDGE_LABEL]: true } }
}

/** @throws SwarmctlError INVALID_ARGUMENT unless it is a JSON list of texts */
export const parseNames = (text: string): string[] => {
  const names: unknown = JSON.parse(text)
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  throw invalid('invalid list of names')
}
