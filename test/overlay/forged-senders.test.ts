/** Nobody gets into an overlay by what a packet says of its sender: real packets through the real rules of both planes. */
import t, { type Test } from 'tap'
import { Firewall } from '../../src/overlay/firewall.ts'
import { IPV6_LAYOUT } from '../../src/overlay/nft-layout-ipv6.ts'
import { nftModel } from '../../src/overlay/nft-model.ts'
import { fullScript } from '../../src/overlay/nft-script.ts'
import { ForgerBench, obstacle, onBlue } from '../support/overlay/forger-bench.ts'

const NODE_1 = '192.168.0.1'
const NODE_2 = '192.168.0.2'
const NODE_3 = '192.168.0.3'
const vxlanPort = 4789

const kernelRules = (bench: ForgerBench): void => {
  const model = nftModel(bench.table, { reserved: () => true, retired: [], vxlanPort })
  bench.run('r', 'nft', ['-f', '-'], fullScript(model, { vxlanPort }))
  const empty = { sets: {}, maps: {}, chains: new Map() }
  const script = fullScript(empty, { vxlanPort, layout: IPV6_LAYOUT })
  bench.run('r', 'nft', ['-c', '-f', '-'], script)
}

const proxyRules = async (bench: ForgerBench): Promise<string> => {
  const quiet = () => {}
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }
  const firewall = new Firewall({ exec: bench.exec, log }, { vxlanPort })
  await firewall.syncProxy(bench.table)
  return firewall.note
}

const made = (t: Test): ForgerBench => {
  const bench = new ForgerBench()
  t.teardown(() => bench.close())
  bench.make()
  return bench
}

/** Who wraps something as nodes do, from which address, and where to. */
const WRAPPED = [
  ['a', NODE_2, NODE_1, 'to the node'],
  ['a', NODE_2, '10.1.1.1', 'to its gateway'],
  ['a', '10.1.1.5', '10.1.1.1', 'to its gateway, with its own address'],
  ['a', NODE_2, '172.17.0.1', 'to another bridge'],
  ['c', NODE_2, '172.17.0.1', 'to its gateway, from the Engine’s bridge'],
  ['c', NODE_2, '172.17.255.255', 'to all of the Engine’s bridge'],
  ['c', NODE_2, NODE_1, 'to the node, from the Engine’s bridge'],
  ['a', NODE_3, NODE_2, 'to another node'],
  ['c', NODE_3, NODE_2, 'to another node, from the Engine’s bridge'],
  ['c', '172.17.0.5', NODE_2, 'to another node, from the Engine’s bridge, with its own address'],
  ['c', NODE_1, NODE_1, 'as the node itself, from the Engine’s bridge'],
] as const

const senders = async (t: Test, bench: ForgerBench): Promise<void> => {
  await bench.listen('n', '0.0.0.0')
  await bench.listen('a', '10.2.1.6')
  await bench.listen('b', '10.2.1.5', '10.2.2.9')
  // Its flow exists by then.
  await bench.heard('n', 'hello')
  for (const [place, from, to, what] of WRAPPED)
    t.notOk(await bench.arrives(place, (text) => bench.wrapped(from, to, onBlue(text))), what)
  t.notOk(await bench.arrives('a', (text) => onBlue(text, '10.1.1.5')), 'from another network')
  t.notOk(await bench.arrives('a', onBlue), 'backwards along a flow, as the other node’s task')

  // Node 1 answers by another way than this comes in by.
  bench.run('n', 'ip', ['route', 'add', NODE_1, 'via', '172.31.0.1'])
  const wrapped = (text: string) => bench.wrapped(NODE_2, NODE_1, onBlue(text))
  t.ok(await bench.arrives('n', wrapped), 'what a node sends by another card')
  bench.run('n', 'ip', ['route', 'delete', NODE_1])
}

/** Of a network whose default gateway it does not have. */
const answers = async (bench: ForgerBench): Promise<void> => {
  bench.send('n', bench.wrapped(NODE_2, NODE_1, onBlue('asked.', '10.2.2.9', '10.2.1.6')))
  await bench.heard('n', 'echo asked.')
}

const skip = obstacle()

t.test('kernel plane', { skip }, async (t) => {
  const bench = made(t)
  kernelRules(bench)
  await senders(t, bench)
  await answers(bench)
  t.pass('an answer that leaves by the default gateway of another network')
})

t.test('proxy plane', { skip }, async (t) => {
  const bench = made(t)
  t.equal(await proxyRules(bench), '')
  await senders(t, bench)
  await answers(bench)
  t.pass('an answer that leaves by the default gateway of another network')
})
