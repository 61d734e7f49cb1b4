import { type ErrorCode, invalid, notFound, toSwarmctlError } from '../api/errors.ts'
import { isConfigNetwork, noConfigNetwork } from '../api/node-local-network.ts'
import { OVERLAY_BRIDGE_LABEL } from '../api/overlay-bridge.ts'
import { asWritten, parseText } from './body.ts'
import { engineJson } from './engine-proxy.ts'
import { orUndefined } from './or-undefined.ts'
import type { EnginePort } from './ports.ts'
import { type LocalNetwork, renderBridge } from './render-network.ts'

/** The Engine is down or not ours, or refuses (a name that two networks have: 400), or what was asked for has just gone. */
const NOT_TO_BE_HAD: readonly ErrorCode[] = [
  'ENGINE_UNAVAILABLE',
  'PERMISSION_DENIED',
  'INVALID_ARGUMENT',
  'ALREADY_EXISTS',
  'NOT_FOUND',
]

/** The bridges of overlays on this node; none while its Engine is down, or when another manager asks. */
export const overlayBridges = async (
  engine: EnginePort,
  networkId?: string,
): Promise<LocalNetwork[]> => {
  const label =
    networkId === undefined ? OVERLAY_BRIDGE_LABEL : `${OVERLAY_BRIDGE_LABEL}=${networkId}`
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }))
  const found = await orUndefined(engineJson(engine, `/networks?filters=${filters}`), NOT_TO_BE_HAD)
  return (found ?? []) as LocalNetwork[]
}

/** What this node's Engine has for one of the cluster's networks; undefined: nothing. */
export const localPart = async (
  engine: EnginePort,
  networkId: string,
): Promise<(LocalNetwork & { Containers?: object }) | undefined> => {
  const [bridge] = await overlayBridges(engine, networkId)
  if (bridge === undefined) return undefined
  const whole = await orUndefined(engineJson(engine, `/networks/${bridge.Id}`), NOT_TO_BE_HAD)
  return whole as LocalNetwork | undefined
}

/** @throws SwarmctlError NOT_FOUND in moby's words; an Engine that can't be asked is no reason to refuse */
export const requireConfigNetwork = async (engine: EnginePort, name: string): Promise<void> => {
  const path = `/networks/${encodeURIComponent(name)}`
  try {
    const found = (await engineJson(engine, path)) as LocalNetwork & { ConfigOnly?: boolean }
    if (isConfigNetwork(found, name)) return
  } catch (thrown) {
    const { code } = toSwarmctlError(thrown)
    if (code !== 'NOT_FOUND' && NOT_TO_BE_HAD.includes(code)) return
    if (code !== 'NOT_FOUND') throw thrown
  }
  throw notFound(noConfigNetwork(name))
}

/** The whole bridge of the overlay that a worker was asked for by name, id or the beginning of the id. */
export const findOverlayBridge = async (
  engine: EnginePort,
  reference: string,
): Promise<LocalNetwork | undefined> => {
  const bridges = await overlayBridges(engine)
  const shown = bridges.map((bridge) => ({ ...renderBridge(bridge), bridgeId: bridge.Id }))
  const found =
    shown.find(({ Id, Name }) => Id === reference || Name === reference) ??
    shown.find(({ Id }) => Id.startsWith(reference))
  if (found === undefined) return undefined
  return (await engineJson(engine, `/networks/${found.bridgeId}`)) as LocalNetwork
}

/** Whether the Engine has a network of its own of exactly this name. */
export const hasLocalNetwork = async (engine: EnginePort, name: string): Promise<boolean> => {
  if (name === '') return false
  const path = `/networks/${encodeURIComponent(name)}`
  const found = await orUndefined(engineJson(engine, path), NOT_TO_BE_HAD)
  return (found as LocalNetwork | undefined)?.Name === name
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
  const names = parseText(text, asWritten)
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  throw invalid('invalid list of names')
}
