import { DYNAMIC_PORTS } from '../../api/defaults.ts'
import { addressOf, containsAddress, formatIpv4 } from '../../api/ipv4.ts'
import type { Network } from '../../api/network.ts'
import type { Endpoint, Service } from '../../api/service.ts'
import type { PortConfig } from '../../api/service-spec.ts'
import { portScope } from '../store/claims.ts'
import type { View } from '../store/view.ts'
import { freeAddress, freeNumber, vipRange } from './address-plan.ts'
import { attachedNetworks, isOverlay } from './service-networks.ts'
import { type Blocked, blocked, poolOf } from './subnets.ts'

type VirtualIP = NonNullable<Endpoint['VirtualIPs']>[number]

/** The endpoint that a service's spec asks for; what it has already and still needs stays as it is. */
export const allocateEndpoint = (
  view: View,
  service: Service,
): { kind: 'allocated'; endpoint: Endpoint } | Blocked => {
  const spec = service.Spec.EndpointSpec
  const attached = attachedNetworks(view, service.Spec.TaskTemplate, spec)
  if (attached.kind === 'blocked') return attached
  const vips: VirtualIP[] = []
  if ((spec?.Mode ?? 'vip') === 'vip') {
    for (const { network } of attached.networks.filter((each) => isOverlay(each.network))) {
      const vip = allocateVip(view, service, network)
      if (vip.kind === 'blocked') return vip
      vips.push(vip.vip)
    }
  }
  const ports = allocatePorts(view, service)
  if (ports.kind === 'blocked') return ports
  return {
    kind: 'allocated',
    endpoint: {
      Spec: { ...spec, Mode: spec?.Mode ?? 'vip' },
      ...(ports.ports.length > 0 && { Ports: ports.ports }),
      ...(vips.length > 0 && { VirtualIPs: vips }),
    },
  }
}

/** Both come from `allocateEndpoint`, so that the order of their properties is the same. */
export const isSameEndpoint = (a: Endpoint, b: Endpoint): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

const allocateVip = (
  view: View,
  service: Service,
  network: Network,
): { kind: 'vip'; vip: VirtualIP } | Blocked => {
  const pool = poolOf(network)
  if (pool === undefined) return blocked(`network ${network.Spec.Name} has no subnet yet`)
  const current = service.Endpoint.VirtualIPs?.find(({ NetworkID }) => NetworkID === network.ID)
  const address = addressOf(current?.Addr ?? '')
  if (current !== undefined && address !== undefined && containsAddress(pool.subnet, address)) {
    return { kind: 'vip', vip: current }
  }
  const free = freeAddress(view, network.ID, vipRange(pool))
  if (free === undefined) {
    return blocked(`network ${network.Spec.Name} has no free address for a service's virtual IP`)
  }
  return {
    kind: 'vip',
    vip: { NetworkID: network.ID, Addr: `${formatIpv4(free)}/${pool.subnet.prefix}` },
  }
}

const portIdentity = (port: PortConfig): string =>
  `${port.Name ?? ''}/${port.Protocol}/${port.TargetPort}/${port.PublishMode}`

/** Ports with numbers; one that was given before stays. Host-mode ports without number are the node's to choose. */
const allocatePorts = (
  view: View,
  service: Service,
): { kind: 'ports'; ports: PortConfig[] } | Blocked => {
  const wanted = service.Spec.EndpointSpec?.Ports ?? []
  if (!wanted.some(isDynamic)) return { kind: 'ports', ports: wanted }
  const taken = hostPorts(view, service.ID)
  for (const port of wanted) taken.add(`${port.Protocol}/${port.PublishedPort ?? 0}`)
  const given = [...(service.Endpoint.Ports ?? [])]
  const ports: PortConfig[] = []
  for (const port of wanted) {
    if (!isDynamic(port)) {
      ports.push(port)
      continue
    }
    const number = takeGiven(given, port, taken) ?? freePort(view, port.Protocol, service.ID, taken)
    if (number === undefined) {
      return blocked(
        `no free published port is left from ${DYNAMIC_PORTS.first} to ${DYNAMIC_PORTS.last}`,
      )
    }
    taken.add(`${port.Protocol}/${number}`)
    ports.push({ ...port, PublishedPort: number })
  }
  return { kind: 'ports', ports }
}

const isDynamic = (port: PortConfig): boolean =>
  port.PublishMode === 'ingress' && (port.PublishedPort ?? 0) === 0

/** The number that this port had so far, unless the new spec gives it away. */
const takeGiven = (
  given: PortConfig[],
  port: PortConfig,
  taken: ReadonlySet<string>,
): number | undefined => {
  const at = given.findIndex(
    (old) =>
      portIdentity(old) === portIdentity(port) &&
      isDynamicNumber(old.PublishedPort ?? 0) &&
      !taken.has(`${old.Protocol}/${old.PublishedPort}`),
  )
  return at < 0 ? undefined : given.splice(at, 1)[0]?.PublishedPort
}

const isDynamicNumber = (port: number): boolean =>
  port >= DYNAMIC_PORTS.first && port <= DYNAMIC_PORTS.last

const freePort = (
  view: View,
  protocol: PortConfig['Protocol'],
  serviceId: string,
  taken: ReadonlySet<string>,
): number | undefined => {
  const isFree = (owner: string | undefined, port: number): boolean =>
    !taken.has(`${protocol}/${port}`) && (owner === undefined || owner === `service/${serviceId}`)
  return freeNumber(view, portScope(protocol), DYNAMIC_PORTS, isFree)
}

/** Host-mode ports of other services: the mesh would take them away on every node. */
const hostPorts = (view: View, serviceId: string): Set<string> =>
  new Set(
    view
      .list('service')
      .filter((service) => service.ID !== serviceId)
      .flatMap((service) => service.Spec.EndpointSpec?.Ports ?? [])
      .filter((port) => port.PublishMode === 'host' && (port.PublishedPort ?? 0) > 0)
      .map((port) => `${port.Protocol}/${port.PublishedPort}`),
  )
