/** A difference turns one table into the other: whatever the two are, and with what nft itself would refuse ruled out. */
import fc from 'fast-check'
import t from 'tap'
import type { OverlayView } from '../../src/api/overlay-view.ts'
import { forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { IPV6_LAYOUT } from '../../src/overlay/nft-layout-ipv6.ts'
import { type NftModel, nftModel } from '../../src/overlay/nft-model.ts'
import { ipv6NftModel } from '../../src/overlay/nft-model-ipv6.ts'
import { differenceScript, fullScript } from '../../src/overlay/nft-script.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

/** What a kernel would hold: elements by set or map, and chains. Refuses what it would refuse. */
class Kernel {
  readonly elements = new Map<string, Map<string, string>>()
  readonly chains = new Set<string>()
  readonly #family: string

  constructor(family = 'ip') {
    this.#family = family
  }

  run(script: string): void {
    for (const line of script.split('\n')) {
      const [verb, what, family] = line.split(' ')
      if (what !== 'chain' && what !== 'element') continue
      if (family !== this.#family && verb !== 'chain') throw new Error(`not ours: ${line}`)
      const chain = /^add chain \S+ swarmctl (\S+)$/.exec(line)?.[1]
      if (chain !== undefined) {
        if (this.chains.has(chain)) throw new Error(`chain ${chain} twice`)
        this.chains.add(chain)
      }
      const match = /^(add|delete) element \S+ swarmctl (\S+) \{ (.*) \}$/.exec(line)
      if (match !== null) this.#elements(match[1]!, match[2]!, match[3]!.split(', '))
    }
  }

  #elements(verb: string, name: string, elements: string[]): void {
    const held = this.elements.get(name) ?? new Map<string, string>()
    this.elements.set(name, held)
    for (const element of elements) {
      const [key = '', value = ''] = split(element)
      if (verb === 'delete' && !held.delete(key)) throw new Error(`${name}: no ${key}`)
      if (verb === 'delete') continue
      if (held.has(key)) throw new Error(`${name}: ${key} twice`)
      const target = value.replace('goto ', '')
      if (value.startsWith('goto') && !this.chains.has(target)) throw new Error(`no ${target}`)
      held.set(key, value)
    }
  }

  content() {
    return [...this.elements]
      .map(([name, held]) => [name, [...held].sort()] as const)
      .filter(([, held]) => held.length > 0)
      .sort()
  }
}

/** Keys may hold colons (MAC addresses), never one between spaces. */
const split = (element: string): string[] => element.split(' : ')

const nodes = [1, 2, 3, 4].map((index) => node(index))
const networks = [
  network('a', 1, '10.1.0.0/16'),
  network('b', 2, '10.2.0.0/16', { internal: true }),
  network('c', 3, '10.3.3.0/24', { plan: 'flat', gateways: { n1: '10.3.3.1' }, encrypted: true }),
]

const views: fc.Arbitrary<OverlayView> = fc
  .record({
    nodes: fc.subarray(nodes.slice(1)),
    networks: fc.subarray(networks),
    dead: fc.boolean(),
    services: fc.array(
      fc.record({
        tasks: fc.integer({ min: 0, max: 5 }),
        published: fc.boolean(),
        protocol: fc.constantFrom('tcp' as const, 'udp' as const),
      }),
      { maxLength: 6 },
    ),
  })
  .map((plan) =>
    view({
      nodes: [nodes[0]!, ...plan.nodes.map((one) => ({ ...one, live: !plan.dead }))],
      networks: plan.networks,
      services: plan.services.map((one, at) =>
        service(`s${at}`, {
          vips: [{ networkId: 'a', addr: `10.1.0.${at + 5}` }],
          ports: one.published
            ? [
                {
                  Protocol: one.protocol,
                  TargetPort: 80,
                  PublishedPort: 8000 + at,
                  PublishMode: 'ingress',
                },
              ]
            : [],
        }),
      ),
      endpoints: plan.services.flatMap((one, at) =>
        Array.from({ length: one.tasks }, (_, task) =>
          endpoint(`s${at}t${task}`, `s${at}`, `n${(task % 4) + 1}`, {
            a: `10.1.${(task % 4) + 1}.${at * 10 + task}`,
          }),
        ),
      ),
    }),
  )

const modelOf = (of: OverlayView): NftModel => {
  const table = forwardingTable(of, 'n1')
  if (table === null) throw new Error('no table')
  return nftModel(table, {
    reserved: () => true,
    retired: [],
    vxlanPort: 4789,
  })
}

t.test('any chain of changes ends where a full replacement would', async () => {
  fc.assert(
    fc.property(fc.array(views, { minLength: 2, maxLength: 6 }), (steps) => {
      const models = steps.map(modelOf)
      const kernel = new Kernel()
      kernel.run(fullScript(models[0]!, { vxlanPort: 4789 }))
      for (const [at, model] of models.entries()) {
        if (at > 0) kernel.run(differenceScript(models[at - 1]!, model, kernel.chains))
        const fresh = new Kernel()
        fresh.run(fullScript(model, { vxlanPort: 4789 }))
        const [is, wanted] = [kernel.content(), fresh.content()].map((one) => JSON.stringify(one))
        if (is !== wanted) throw new Error(`step ${at}: ${is} is not ${wanted}`)
      }
    }),
    { numRuns: 200 },
  )
})

t.test('so it does in IPv6', async () => {
  const dual = (of: OverlayView): OverlayView => ({
    ...of,
    nodes: new Map([...of.nodes].map(([id, one]) => [id, { ...one, ipv6: true }])),
    networks: new Map(
      [...of.networks].map(([id, one]) => [id, { ...one, subnet6: `fd00:${one.index}::/64` }]),
    ),
  })
  const layout = { vxlanPort: 4789, layout: IPV6_LAYOUT }
  fc.assert(
    fc.property(fc.array(views, { minLength: 2, maxLength: 6 }), (steps) => {
      const models = steps.flatMap(
        (one) => ipv6NftModel(forwardingTable(dual(one), 'n1')!, { retired: ['10.1.4.9'] }) ?? [],
      )
      const kernel = new Kernel('ip6')
      for (const [at, model] of models.entries()) {
        const before = models[at - 1]
        if (before === undefined) kernel.run(fullScript(model, layout))
        else kernel.run(differenceScript(before, model, kernel.chains, IPV6_LAYOUT))
        const fresh = new Kernel('ip6')
        fresh.run(fullScript(model, layout))
        const [is, wanted] = [kernel.content(), fresh.content()].map((one) => JSON.stringify(one))
        if (is !== wanted) throw new Error(`step ${at}: ${is} is not ${wanted}`)
      }
    }),
    { numRuns: 200 },
  )
})

t.test('no difference, no transaction; one endpoint, a few lines whatever the size', async (t) => {
  const large = (tasks: number) =>
    modelOf(
      view({
        networks,
        services: Array.from({ length: 250 }, (_, at) =>
          service(`s${at}`, { vips: [{ networkId: 'a', addr: `10.1.0.${at}` }] }),
        ),
        endpoints: Array.from({ length: 250 }, (_, at) => at).flatMap((at) =>
          Array.from({ length: at === 7 ? tasks : 3 }, (_, task) =>
            endpoint(`${at}-${task}`, `s${at}`, 'n2', { a: `10.1.2.${(at + task) % 256}` }),
          ),
        ),
      }),
    )
  const before = large(3)
  t.equal(differenceScript(before, large(3), new Set(before.chains.keys())), '')
  const script = differenceScript(before, large(2), new Set(before.chains.keys()))
  t.ok(script.split('\n').length < 10, script)
  t.match(script, 'delete element ip swarmctl vip { 10.1.0.7 }')
  t.match(script, /add element ip swarmctl vip \{ 10\.1\.0\.7 : goto v2_b\d+ \}/)
})

t.test('the replacement is one transaction and has every rule that the plane needs', async (t) => {
  const script = fullScript(modelOf(view({ networks })), { vxlanPort: 4790 })
  t.match(script, /^table ip swarmctl\ndelete table ip swarmctl\ntable ip swarmctl \{/)
  for (const rule of [
    'udp dport 4790 fib daddr type != unicast ip daddr != @vteps drop',
    'udp dport 4790 ip saddr != @vteps ip daddr @vteps drop',
    'udp dport 4790 ip daddr @vteps meta iifkind "bridge" fib saddr . iif oif missing fib daddr . iif type != local drop',
    'iifname "sw-br*" ip saddr @overlay fib saddr . iif oif missing ct direction original drop',
    'iifname "sw-br*" ip saddr @overlay fib saddr oifname { "sw-vx0", "sw-vx1" } drop',
    'ip saddr @internal_nets ct direction original drop',
    'oifname "sw-vx*" meta mark set 0',
    'tcp option maxseg size set rt mtu',
    'ip saddr . ip daddr @hairpin masquerade',
  ]) {
    t.match(script, rule)
  }
})
