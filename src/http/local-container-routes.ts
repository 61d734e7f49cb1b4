// The local Engine's own containers, which it has on the bridges of the cluster's networks: clients see the networks.
import { OVERLAY_BRIDGE_PREFIX } from '../api/overlay-bridge.ts'
import { asWritten, parseText } from './body.ts'
import { callEngine, sendAnswer } from './engine-call.ts'
import { overlayBridges } from './engine-networks.ts'
import { passToEngine } from './engine-proxy.ts'
import { sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import {
  type ContainerNetworksJson,
  type Overlays,
  overlaysOf,
  withBridges,
  withOverlays,
} from './shown-networks.ts'

/** An answer without it has no bridge's name. */
const BRIDGE_IN_JSON = `"${OVERLAY_BRIDGE_PREFIX}`

/** The answer to a request with what is shown of each container on a bridge; everything else goes as the Engine said it. */
const show = async (
  exchange: Exchange,
  url: string,
  shown: (body: unknown, overlays: Overlays) => unknown,
  known?: Overlays,
): Promise<void> => {
  const answer = await callEngine(exchange, { url })
  if (answer.status !== 200 || !answer.body.includes(BRIDGE_IN_JSON))
    return sendAnswer(exchange.response, answer)
  const whole = parseText(answer.body.toString(), asWritten)
  const body = shown(whole, known ?? (await overlaysHere(exchange)))
  sendJson(exchange.response, 200, body)
}

const overlaysHere = async ({ engine }: Exchange): Promise<Overlays> =>
  overlaysOf(await overlayBridges(engine))

const isInSwarm = ({ port }: Exchange): boolean => port.attachments() !== undefined

const inspect = (exchange: Exchange): Promise<void> | void =>
  isInSwarm(exchange)
    ? show(exchange, exchange.engineUrl, (body, overlays) =>
        withOverlays(body as ContainerNetworksJson, overlays),
      )
    : passToEngine(exchange)

const list = async (exchange: Exchange): Promise<void> => {
  if (!isInSwarm(exchange)) return passToEngine(exchange)
  const shown = (body: unknown, overlays: Overlays) =>
    (body as ContainerNetworksJson[]).map((one) => withOverlays(one, overlays))
  const filters = exchange.query.get('filters')
  if (!filters?.includes('"network"')) return show(exchange, exchange.engineUrl, shown)
  const overlays = await overlaysHere(exchange)
  return show(exchange, withFilters(exchange.engineUrl, filters, overlays), shown, overlays)
}

/** What is no JSON is for the Engine to refuse. */
const withFilters = (url: string, filters: string, overlays: Overlays): string => {
  const [path = '', search] = url.split('?', 2)
  const query = new URLSearchParams(search)
  try {
    query.set('filters', JSON.stringify(withBridges(JSON.parse(filters), overlays)))
  } catch {
    return url
  }
  return `${path}?${query}`
}

export const localContainerRoutes: readonly Route[] = [
  { method: 'GET', path: '/containers/json', place: 'local', handle: list },
  { method: 'GET', path: '/containers/:id/json', place: 'local', handle: inspect },
]
