import t from 'tap'
import { type ApiNode, serviceBody, startNode } from '../support/http/api-node.ts'

const listOf = async (node: ApiNode, path: string, filters: unknown) => {
  const text = typeof filters === 'string' ? filters : JSON.stringify(filters)
  const { status, body } = await node.call('GET', `${path}?filters=${encodeURIComponent(text)}`)
  return { status, body }
}

const LISTS = ['/services', '/tasks', '/nodes', '/secrets', '/configs', '/networks'] as const

t.test('what is no filter is refused in Docker’s words', async (t) => {
  const node = await startNode(t)
  for (const path of LISTS) {
    for (const bad of ['{', '[]', '{"name":"x"}', '{"name":[1]}', '{"name":{"x":1}}']) {
      const { status, body } = await listOf(node, path, bad)
      t.equal(status, 400, `${path} ${bad}`)
      t.match(body.message, /^invalid filter/)
    }
    t.match(await listOf(node, path, { nope: { x: true } }), {
      status: 400,
      body: { message: "invalid filter 'nope'" },
    })
    t.match(await listOf(node, path, 'null'), { status: 200 })
  }
  const cases: [path: string, filters: object, text: string][] = [
    ['/nodes', { role: ['boss'] }, "Invalid role filter: 'boss'"],
    ['/nodes', { membership: ['no'] }, "Invalid membership filter: 'no'"],
    ['/tasks', { 'desired-state': ['idle'] }, "Invalid desired-state filter: 'idle'"],
    ['/configs', { names: ['c'] }, "invalid filter 'names'"],
    ['/networks', { type: ['own'] }, "invalid filter: 'type'='own'"],
    ['/networks', { dangling: ['1', '0'] }, 'got more than one value for filter key "dangling"'],
  ]
  for (const [path, filters, message] of cases) {
    t.match(await listOf(node, path, filters), { status: 400, body: { message } })
  }
})

t.test('a filter’s value is one by being there', async (t) => {
  const node = await startNode(t)
  await node.call('POST', '/services/create', { body: serviceBody('web') })
  t.same((await listOf(node, '/services', { name: { zzz: false } })).body, [])
  t.equal((await listOf(node, '/services', { name: { web: false } })).body.length, 1)
  t.equal((await listOf(node, '/services', { name: {} })).body.length, 1)
  t.equal((await listOf(node, '/services', { name: null })).body.length, 1)
})

t.test('words may be in any case, and an empty one is none', async (t) => {
  const node = await startNode(t)
  t.equal((await listOf(node, '/nodes', { role: ['Manager'] })).body.length, 1)
  t.equal((await listOf(node, '/nodes', { role: [''] })).body.length, 2)
  t.same((await listOf(node, '/tasks', { 'desired-state': ['RUNNING'] })).body, [])
})

t.test('a secret is listed by its name or by its id', async (t) => {
  const node = await startNode(t)
  const ids: string[] = []
  for (const Name of ['alpha', 'beta', 'gamma']) {
    const { body } = await node.call('POST', '/secrets/create', { body: { Name, Data: 'eA==' } })
    ids.push(body.ID)
  }
  const filters = { name: ['al'], names: ['beta', 'gam'], id: [ids[2]] }
  const { body } = await listOf(node, '/secrets', filters)
  t.same(
    body.map((secret: { Spec: { Name: string } }) => secret.Spec.Name),
    ['alpha', 'beta', 'gamma'],
  )
  t.same((await listOf(node, '/secrets', { name: ['al'], label: ['x'] })).body, [])
})

t.test('names and ids of networks are found by patterns', async (t) => {
  const node = await startNode(t)
  for (const Name of ['web', 'web2']) {
    await node.call('POST', '/networks/create', { body: { Name, Driver: 'overlay' } })
  }
  const names = async (filters: object) =>
    (await listOf(node, '/networks', { scope: ['swarm'], ...filters })).body.map(
      (network: { Name: string }) => network.Name,
    )
  t.same(await names({ name: ['^web$'] }), ['web'])
  t.same(await names({ name: ['eb'] }), ['web', 'web2'])
  t.same(await names({ name: ['web('] }), [])
  t.same(await names({ id: ['^nope'] }), [])
})
