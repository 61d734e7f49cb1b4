import { SwarmctlError } from '../api/errors.ts'
import { overlaps, parseCidr } from '../api/ipv4.ts'
import type { Log } from '../api/log.ts'
import { isNodeLocalName } from '../api/node-local-network.ts'
import { OVERLAY_BRIDGE_PREFIX, OVERLAY_NAME_LABEL } from '../api/overlay-bridge.ts'
import type { TableNetwork } from './forwarding-table.ts'
import { bridgeName, dockerNetworkName, NETWORK_LABEL } from './names.ts'
import { type Proc, setSysctl, sysctlPath } from './proc.ts'

interface BridgeAddresses {
  Subnet?: string | undefined
  Gateway?: string | undefined
}

interface NetworkInfo {
  Id: string
  Name: string
  Internal?: boolean | undefined
  EnableIPv6?: boolean | undefined
  Labels?: Record<string, string> | null | undefined
  IPAM?: { Config?: BridgeAddresses[] | null | undefined } | undefined
}

type NetworkBody = ReturnType<typeof createBody>

/** What the overlay asks of the local Engine: a dockerode instance fits. */
export interface DockerNetworks {
  listNetworks(options: { filters: { label: string[] } }): Promise<NetworkInfo[]>
  createNetwork(body: NetworkBody): Promise<unknown>
  getNetwork(name: string): { inspect(): Promise<NetworkInfo>; remove(): Promise<unknown> }
  version(): Promise<{ Version: string }>
}

/** Engines from 28.2 drop routed packets to a container unless their device is trusted (moby 49832). */
const TRUSTED_INTERFACES_VERSION = [28, 2] as const

const hasTrustedInterfaces = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const [wantedMajor, wantedMinor] = TRUSTED_INTERFACES_VERSION
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

const statusOf = (error: unknown): number =>
  (error as { statusCode?: number } | null)?.statusCode ?? 0

/** The body of `POST /networks/create` for a network's bridge on this node. Pure. */
export const createBody = (
  network: TableNetwork & { gateway: string },
  options: { mtu: number; engineVersion: string },
) => ({
  Name: dockerNetworkName(network.index),
  Driver: 'bridge',
  CheckDuplicate: true,
  Internal: network.internal,
  ...(network.ipv6 && { EnableIPv6: true }),
  Labels: { [NETWORK_LABEL]: network.id, [OVERLAY_NAME_LABEL]: network.name },
  IPAM: {
    Driver: 'default',
    Config: [
      { Subnet: network.subnet, IPRange: network.local, Gateway: network.gateway },
      ...(network.ipv6?.gateway
        ? [{ Subnet: network.ipv6.subnet, Gateway: network.ipv6.gateway }]
        : []),
    ],
  },
  Options: {
    'com.docker.network.bridge.name': network.bridge,
    'com.docker.network.driver.mtu': String(network.mtu > 0 ? network.mtu : options.mtu),
    // Ours instead, since the Engine's would also translate what goes to other nodes.
    'com.docker.network.bridge.enable_ip_masquerade': 'false',
    ...(hasTrustedInterfaces(options.engineVersion)
      ? { 'com.docker.network.bridge.trusted_host_interfaces': network.device }
      : {}),
  },
})

/** One Docker bridge network per overlay network that this node's tasks use. */
export class Bridges {
  readonly #docker: DockerNetworks
  readonly #proc: Proc
  readonly #log: Log

  constructor(deps: { docker: DockerNetworks; proc: Proc; log: Log }) {
    this.#docker = deps.docker
    this.#proc = deps.proc
    this.#log = deps.log
  }

  /**
   * Indexes of the networks whose bridge is there. Asks the kernel: an Engine that is down changes nothing. Reads a file, since every
   * sync asks and a program takes 10 ms and more to start.
   */
  async present(): Promise<Set<number>> {
    const devices = (await this.#proc.read('/proc/net/dev')) ?? ''
    return new Set([...devices.matchAll(/^\s*sw-br(\d+):/gm)].map((match) => Number(match[1])))
  }

  /** Makes the bridge unless it is there as wanted; resolves with whether it had to. @throws SwarmctlError when the Engine refuses */
  async ensure(network: TableNetwork, mtu: number): Promise<boolean> {
    const { gateway } = network
    if (gateway === null) {
      throw new SwarmctlError(
        'UNAVAILABLE',
        `network ${network.name} has no gateway address for this node yet: it is retried`,
      )
    }
    const name = dockerNetworkName(network.index)
    const current = await this.#inspect(name)
    if (current !== null && !this.#isAsWanted(current, network)) {
      this.#log.info(
        { network: network.name },
        'the bridge differs from the network: making it anew',
      )
      await this.#removeOther(current, network)
    }
    const isMade = current === null || !this.#isAsWanted(current, network)
    if (isMade) {
      const { Version } = await this.#docker.version()
      const body = createBody({ ...network, gateway }, { mtu, engineVersion: Version })
      await this.#create(network, body)
    }
    await this.tune(network)
    return isMade
  }

  async #create(network: TableNetwork, body: NetworkBody): Promise<void> {
    try {
      await this.#docker.createNetwork(body)
    } catch (error) {
      // Another attach made it meanwhile.
      if (statusOf(error) === 409) return
      const other = await this.#inTheWay(network)
      if (other === undefined) {
        throw new SwarmctlError(
          'ENGINE_UNAVAILABLE',
          `the Engine refuses the bridge of network ${network.name} (${network.subnet}): ${(error as Error).message}`,
          { cause: error },
        )
      }
      // The Engine keeps one that has containers. The next attempt finds it gone.
      await this.#docker
        .getNetwork(other.Id)
        .remove()
        .catch(() => undefined)
      throw new SwarmctlError(
        'UNAVAILABLE',
        `network ${network.name} waits for the subnet ${network.subnet}: network ${other.Labels?.[OVERLAY_NAME_LABEL] ?? other.Name}, which had it, still ends here`,
        { cause: error },
      )
    }
  }

  /** Kernel settings of a bridge; safe to repeat. */
  async tune({ index, ipv6 }: TableNetwork): Promise<void> {
    const device = bridgeName(index)
    const conf = (name: string) => sysctlPath('net/ipv4/conf', device, name)
    // The bridge answers ARP for what lies beyond: VIPs, and in flat subnets remote tasks.
    await setSysctl(this.#proc, conf('proxy_arp'), '1')
    // The default of 80 jiffies delays first connections by up to 0.6 s.
    await setSysctl(this.#proc, sysctlPath('net/ipv4/neigh', device, 'proxy_delay'), '0')
    await setSysctl(this.#proc, conf('rp_filter'), '0')
    await setSysctl(this.#proc, conf('send_redirects'), '0')
    if (ipv6 === null) return
    await this.#tuneIpv6(device).catch((error: Error) => {
      this.#log.warn({ device, error: error.message }, 'IPv6 of a bridge is not as it should be')
    })
  }

  async #tuneIpv6(device: string): Promise<void> {
    const conf6 = (name: string) => sysctlPath('net/ipv6/conf', device, name)
    // Address by address (link-model-ipv6.ts): IPv6 has no proxying of whole networks.
    await setSysctl(this.#proc, conf6('proxy_ndp'), '1')
    await setSysctl(this.#proc, sysctlPath('net/ipv6/neigh', device, 'proxy_delay'), '0')
    // Nobody else has the gateway's address: without looking for it, it serves a second earlier.
    await setSysctl(this.#proc, conf6('dad_transmits'), '0')
  }

  /** Removes our Docker networks that `isWanted` does not name; one in use stays and is logged. Returns whether all are gone. */
  async removeUnwanted(isWanted: (networkId: string, index: number) => boolean): Promise<boolean> {
    const networks = await this.#docker.listNetworks({ filters: { label: [NETWORK_LABEL] } })
    let isClean = true
    for (const network of networks) {
      // Those are removed where they are made (worker/node-networks.ts).
      if (isNodeLocalName(network.Name)) continue
      const index = Number(network.Name.slice(OVERLAY_BRIDGE_PREFIX.length))
      if (isWanted(network.Labels?.[NETWORK_LABEL] ?? '', index)) continue
      try {
        await this.#docker.getNetwork(network.Id).remove()
      } catch (error) {
        if (statusOf(error) === 404) continue
        isClean = false
        this.#log.debug({ network: network.Name, error: (error as Error).message }, 'bridge in use')
      }
    }
    return isClean
  }

  /**
   * Another of our networks that holds addresses of this one. No two networks of the cluster do: it is removed, and nobody has looked for
   * its bridge since. A stack with a subnet of its own that is removed and deployed again meets it.
   */
  async #inTheWay({ id, subnet }: TableNetwork): Promise<NetworkInfo | undefined> {
    const wanted = parseCidr(subnet)
    if (wanted === undefined) return undefined
    const ours = await this.#docker
      .listNetworks({ filters: { label: [NETWORK_LABEL] } })
      .catch((): NetworkInfo[] => [])
    return ours.find(
      ({ Name, Labels, IPAM }) =>
        !isNodeLocalName(Name) &&
        Labels?.[NETWORK_LABEL] !== id &&
        (IPAM?.Config ?? []).some(({ Subnet = '' }) => {
          const block = parseCidr(Subnet)
          return block !== undefined && overlaps(block, wanted)
        }),
    )
  }

  /** @throws SwarmctlError FAILED_PRECONDITION while containers are on it: a host that gets IPv6, or loses it, wants bridges anew */
  async #removeOther(current: NetworkInfo, network: TableNetwork): Promise<void> {
    try {
      await this.#docker.getNetwork(current.Name).remove()
    } catch (error) {
      if (statusOf(error) === 404) return
      const isSameFamily = (current.EnableIPv6 ?? false) === (network.ipv6 !== null)
      const how = isSameFamily ? '' : network.ipv6 === null ? ' without IPv6' : ' with IPv6'
      throw new SwarmctlError(
        'FAILED_PRECONDITION',
        `the bridge of network ${network.name} has to be made anew${how}, and containers still use it: drain this node once (${(error as Error).message})`,
        { cause: error },
      )
    }
  }

  async #inspect(name: string): Promise<NetworkInfo | null> {
    try {
      return await this.#docker.getNetwork(name).inspect()
    } catch (error) {
      if (statusOf(error) === 404) return null
      throw new SwarmctlError(
        'ENGINE_UNAVAILABLE',
        `the Docker Engine does not answer: ${(error as Error).message}`,
        { cause: error },
      )
    }
  }

  #isAsWanted(current: NetworkInfo, network: TableNetwork): boolean {
    const config = current.IPAM?.Config?.[0]
    return (
      current.Labels?.[NETWORK_LABEL] === network.id &&
      config?.Subnet === network.subnet &&
      config.Gateway === network.gateway &&
      (current.Internal ?? false) === network.internal &&
      (current.EnableIPv6 ?? false) === (network.ipv6 !== null)
    )
  }
}
