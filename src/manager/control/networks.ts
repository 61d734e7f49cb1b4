import { type ErrorCode, invalid, precondition, SwarmctlError } from '../../api/errors.ts'
import {
  type Filters,
  filterFlag,
  matchesAny,
  matchesLabels,
  matchesPattern,
  requireFilterKeys,
} from '../../api/filters.ts'
import { ipv4SubnetOf, ipv6SubnetOf } from '../../api/ipam-pools.ts'
import { formatCidr, parseCidr } from '../../api/ipv4.ts'
import { formatIpv6Cidr, parseIpv6Cidr } from '../../api/ipv6.ts'
import type { Network, NetworkCreate } from '../../api/network.ts'
import { isAttachment } from '../../api/network-attachment.ts'
import { needsIngress } from '../../api/service-defaults.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { OVERLAY_DRIVER, PREDEFINED_LABEL, parseNetworkCreate } from '../../api/validate/network.ts'
import { ipv6Conflict } from '../allocator/ipv6-subnets.ts'
import { subnetConflict } from '../allocator/subnets.ts'
import { newMeta } from '../store/new-meta.ts'
import type { View } from '../store/view.ts'
import { unmarkAttached } from './attached-mark.ts'
import { type ControlDeps, type ReadOptions, readView } from './context.ts'
import { type NetworkUse, networkUse } from './network-use.ts'
import { find, resolve } from './resolve.ts'

const FILTER_KEYS = ['id', 'name', 'label', 'driver', 'scope', 'type', 'dangling'] as const

const NETWORK_TYPES: readonly string[] = ['builtin', 'custom']

/** Why a network that nobody used may still not be removed. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set(['FAILED_PRECONDITION', 'NOT_FOUND'])

const MS_BY_UNIT: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/** `until=24h` (ago), a Unix time in seconds, or a date: only what is older goes. Absent: everything. */
const untilMs = (values: readonly string[] | undefined, nowMs: number): number => {
  const [text, ...more] = values ?? []
  if (text === undefined) return Number.POSITIVE_INFINITY
  if (more.length > 0) throw invalid('more than one until filter specified')
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  if (/^(\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)]
    return nowMs - parts.reduce((sum, [, n, unit]) => sum + Number(n) * MS_BY_UNIT[unit!]!, 0)
  }
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw invalid(`invalid until filter "${text}"`)
  return at
}

const isPredefined = (network: Network): boolean =>
  network.Spec.Labels[PREDEFINED_LABEL] !== undefined

/** The verbs of swarm-scoped `/networks`. Node-local networks are the Engine's. */
export class Networks {
  readonly #deps: ControlDeps

  constructor(deps: ControlDeps) {
    this.#deps = deps
  }

  /** The allocator gives it its subnet and number soon after. */
  async create(body: unknown): Promise<{ Id: string; Warning: string }> {
    const { request, warning } = parseNetworkCreate(body)
    if (PREDEFINED_LABEL in request.Labels) {
      throw new SwarmctlError(
        'PERMISSION_DENIED',
        `label ${PREDEFINED_LABEL} is for internally created predefined networks and cannot be applied by users`,
      )
    }
    const id = this.#deps.newId()
    await this.#deps.store.update((tx) => {
      const ingress = request.Ingress && tx.list('network').find(({ Spec }) => Spec.Ingress)
      if (ingress) {
        throw new SwarmctlError(
          'ALREADY_EXISTS',
          `ingress network (${ingress.ID}) is already present`,
        )
      }
      if (request.Driver === OVERLAY_DRIVER) requireFreeSubnets(tx, id, request)
      tx.put('network', newNetwork(id, request))
    })
    return { Id: id, Warning: warning }
  }

  /** `predefined`: also `host`, `bridge` and `none`, which services may name. */
  async get(reference: string, options: ReadOptions & { predefined?: boolean }): Promise<Network> {
    const view = await readView(this.#deps, options)
    const network = find(view, 'network', reference)
    if (network === undefined || (isPredefined(network) && options.predefined !== true)) {
      throw new SwarmctlError('NOT_FOUND', `network ${reference} not found`)
    }
    return network
  }

  async list(filters: Filters, options: ReadOptions): Promise<Network[]> {
    requireFilterKeys(filters, FILTER_KEYS)
    const isDangling = filterFlag(filters, 'dangling')
    for (const type of filters.type ?? []) {
      if (!NETWORK_TYPES.includes(type)) throw invalid(`invalid filter: 'type'='${type}'`)
    }
    const view = await readView(this.#deps, options)
    return view
      .list('network')
      .filter(
        (network) =>
          !isPredefined(network) &&
          matchesPattern(filters.id, network.ID) &&
          matchesPattern(filters.name, network.Spec.Name) &&
          matchesLabels(filters.label, network.Spec.Labels) &&
          matchesAny(filters.driver, network.Spec.DriverConfiguration.Name) &&
          matchesAny(filters.scope, 'swarm') &&
          matchesAny(filters.type, 'custom') &&
          (isDangling === undefined || isDangling === (userOf(view, network) === undefined)),
      )
  }

  /** Who uses it, from this manager's own state. */
  use(network: Network): NetworkUse {
    return networkUse(this.#deps.store.view(), network)
  }

  /** Removes what nobody uses, but never the routing mesh's; returns the names. */
  async prune(filters: Filters): Promise<string[]> {
    const notLabels = filters['label!'] ?? []
    const until = untilMs(filters.until, this.#deps.clock.nowMs())
    const unused = (await this.list({ dangling: ['true'] }, {})).filter(
      ({ Spec, CreatedAt }) =>
        !Spec.Ingress &&
        matchesLabels(filters.label, Spec.Labels) &&
        (notLabels.length === 0 || !matchesLabels(notLabels, Spec.Labels)) &&
        Date.parse(CreatedAt) <= until,
    )
    const names: string[] = []
    for (const { ID, Spec } of unused) {
      try {
        await this.remove(ID)
        names.push(Spec.Name)
      } catch (error) {
        // Somebody has just begun to use it, or removed it.
        const isExpected = error instanceof SwarmctlError && EXPECTED.has(error.code)
        if (!isExpected) throw error
      }
    }
    return names
  }

  async remove(reference: string): Promise<void> {
    const { store } = this.#deps
    const id = await store.update((tx) => {
      const network = requireUnused(tx, reference)
      unmarkAttached(tx, network)
      return network.ID
    })
    await store.update((tx) => {
      const { Spec, Swarmctl } = requireUnused(tx, id)
      if (Swarmctl.Attached) {
        throw precondition(
          `network ${id} (${Spec.Name}) was in use by a container until just now: try again`,
        )
      }
      tx.touchAll('service')
      tx.remove('network', id)
    })
  }
}

/** @throws SwarmctlError NOT_FOUND, FAILED_PRECONDITION with Docker's texts */
const requireUnused = (view: View, reference: string): Network => {
  const network = resolve(view, 'network', reference)
  if (isPredefined(network)) {
    throw precondition(
      `network ${network.ID} (${network.Spec.Name}) is a swarm predefined network and cannot be removed`,
    )
  }
  const user = userOf(view, network)
  if (user === undefined) return network
  throw precondition(
    network.Spec.Ingress
      ? `ingress network cannot be removed because ${user} depends on it`
      : `network ${network.ID} is in use by ${user}`,
  )
}

/** `service <id>` or `task <id>` that uses the network. Tasks whose service was just removed are about to end: `stack rm` counts on it. */
const userOf = (view: View, network: Network): string | undefined => {
  const service = view
    .list('service')
    .find(({ Spec }) =>
      network.Spec.Ingress
        ? needsIngress(Spec.EndpointSpec)
        : (Spec.TaskTemplate.Networks ?? []).some(({ Target }) => Target === network.ID),
    )
  if (service !== undefined) return `service ${service.ID}`
  if (network.Spec.Ingress) return undefined
  const task = view
    .list('task')
    .find(
      (candidate) =>
        isWanted(candidate.DesiredState) &&
        (isAttachment(candidate) || view.get('service', candidate.ServiceID) !== undefined) &&
        !isTerminal(candidate.Status.State) &&
        (candidate.NetworksAttachments ?? []).some(({ Network: { ID } }) => ID === network.ID),
    )
  return task === undefined ? undefined : `task ${task.ID}`
}

/**
 * What tasks of a removed network still use is given to the new one when they have ended: a stack may be removed and deployed again.
 * @throws SwarmctlError FAILED_PRECONDITION
 */
const requireFreeSubnets = (view: View, id: string, request: NetworkCreate): void => {
  const pools = request.IPAM?.Config ?? []
  const subnet = ipv4SubnetOf(pools)
  const subnet6 = request.EnableIPv6 ? ipv6SubnetOf(pools) : undefined
  const conflict =
    (subnet && subnetConflict(view, subnet, id, { withRequested: true, withEnding: false })) ??
    (subnet6 && ipv6Conflict(view, subnet6, id))
  if (conflict !== undefined) throw precondition(`invalid pool request: ${conflict}`)
}

type AskedPool = NonNullable<NonNullable<NetworkCreate['IPAM']>['Config']>[number]

/** A pool that the user asked for, with its host bits cleared. */
const askedPool = ({ Subnet = '', IPRange = '', Gateway, AuxiliaryAddresses }: AskedPool) => {
  const kept = { ...(Gateway && { Gateway }), ...(AuxiliaryAddresses && { AuxiliaryAddresses }) }
  const block6 = parseIpv6Cidr(Subnet)
  if (block6 !== undefined) {
    return [{ Subnet: formatIpv6Cidr(block6), ...(IPRange && { Range: IPRange }), ...kept }]
  }
  const block = parseCidr(Subnet)
  const range = parseCidr(IPRange)
  if (block === undefined) return []
  return [{ Subnet: formatCidr(block), ...(range && { Range: formatCidr(range) }), ...kept }]
}

const newNetwork = (id: string, request: NetworkCreate): Network => ({
  ...newMeta(id),
  Spec: {
    Name: request.Name,
    Labels: request.Labels,
    DriverConfiguration: { Name: request.Driver, Options: request.Options },
    IPv6Enabled: request.EnableIPv6 === true,
    Internal: request.Internal,
    Attachable: request.Attachable,
    Ingress: request.Ingress,
    IPAMOptions: {
      Driver: {
        Name: 'default',
        ...(request.IPAM?.Options && { Options: request.IPAM.Options }),
      },
      Configs: (request.IPAM?.Config ?? []).flatMap(askedPool),
    },
    ...(request.ConfigFrom?.Network && { ConfigFrom: { Network: request.ConfigFrom.Network } }),
    Scope: 'swarm',
  },
  DriverState: {
    Name: request.Driver,
    Options: request.Driver === OVERLAY_DRIVER ? request.Options : {},
  },
  IPAMOptions: { Configs: [] },
  Swarmctl: { Index: 0, Plan: 'blocks', Gateways: {} },
})
