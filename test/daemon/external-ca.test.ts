/** A CA whose key is outside: its signer is asked over real mutual TLS, by CFSSL's protocol. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { newId } from '../../src/api/id.ts'
import type { ExternalCA, SwarmSpec } from '../../src/api/swarm.ts'
import { CfsslClient } from '../../src/daemon/cfssl-client.ts'
import { CertificateAuthority } from '../../src/manager/ca/certificate-authority.ts'
import { withNewRoot } from '../../src/manager/ca/cluster-ca.ts'
import { signersOf } from '../../src/manager/ca/external-ca.ts'
import { Control } from '../../src/manager/control/control.ts'
import { trustedIssuer } from '../../src/pki/certificate-chain.ts'
import { type Credentials, readCredentials } from '../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../src/pki/csr.ts'
import { newJoinToken } from '../../src/pki/join-token.ts'
import { createRootCA, issuerInfoOf, type RootCA } from '../../src/pki/root-ca.ts'
import { serverCertificate, startSigner } from '../support/ca/cfssl-signer.ts'
import { storedCluster } from '../support/ca/stored-cluster.ts'
import { noLog, realClock } from '../support/rpc/cluster-fixture.ts'

const setUp = async () => {
  const { store, ...created } = await storedCluster()
  const own = { credentials: created.credentials }
  const external = new CfsslClient({ credentials: () => own.credentials })
  const leader = { request: () => Promise.reject(new Error('this is the leader')) }
  const authority = new CertificateAuthority({
    ...{ store, clock: realClock, log: noLog, external, leader },
    isLeader: () => true,
  })
  const tokens = (rootCACert: string) => newJoinToken(rootCACert)
  const control = new Control({ store, clock: realClock, newId, newJoinToken: tokens, external })
  const cluster = () => store.view().cluster()!
  const update = (CAConfig: SwarmSpec['CAConfig']) =>
    control.updateCluster(cluster().Version.Index, {
      ...cluster().Spec,
      CAConfig: { ...cluster().Spec.CAConfig, ...CAConfig },
    })
  /** The manager renews; with `keep` it goes on with the new certificate. */
  const renew = async (): Promise<Credentials> => {
    const { keyPem, csrPem } = await createKeyAndCsr()
    const answer = await authority.renew(created.node.ID, csrPem)
    own.credentials = readCredentials({ keyPem, ...answer })
    return own.credentials
  }
  /** As the leader's loop, once every node has followed. */
  const finish = () =>
    store.update((tx) => {
      const now = tx.cluster()!
      tx.put('cluster', withNewRoot(now, now.Swarmctl.RootRotation!, tokens))
    })
  const nodeCount = () => store.view().list('node').length
  return { ...created, cluster, update, renew, finish, external, authority, nodeCount }
}

const settings = (url: string, CACert = ''): ExternalCA[] => [
  { Protocol: 'cfssl', URL: url, CACert },
]

t.test('a rotation to a CA outside, and back again', async (t: Test) => {
  const { cluster, node, update, renew, finish, authority, nodeCount } = await setUp()
  const outside = await createRootCA(realClock)
  const signer = await startSigner(t, outside, cluster().Swarmctl.RootCACert + outside.certPem)
  const ExternalCAs = settings(signer.url, outside.certPem)
  await t.rejects(update({ SigningCACert: outside.certPem }), {
    code: 'INVALID_ARGUMENT',
    message: /at least one valid, reachable external CA corresponding to the desired.*none is set/,
  })
  await update({ SigningCACert: outside.certPem, ExternalCAs })
  t.equal(cluster().Swarmctl.RootRotation?.CAKey, '')
  t.match(cluster().Spec.CAConfig?.ExternalCAs, ExternalCAs, 'the setting comes back')

  const during = await renew()
  t.match(signer.requests.splice(0), [
    {
      hosts: ['swarm-manager', node.ID],
      subject: { CN: node.ID, names: [{ OU: 'swarm-manager', O: cluster().ID }] },
      profile: '',
    },
  ])
  const issuer = trustedIssuer(during.certPem, outside.certPem)
  t.match(issuerInfoOf(String(issuer)), issuerInfoOf(outside.certPem))
  t.ok(trustedIssuer(during.certPem, cluster().Swarmctl.RootCACert), 'the old root trusts it too')
  await finish()
  t.equal((await renew()).rootCAPem, outside.certPem)

  // Back: the signer vouches for the new root.
  await signer.stop()
  const joining = authority.join(
    {
      csrPem: (await createKeyAndCsr()).csrPem,
      token: cluster().JoinTokens.Worker,
      info: { availability: 'active', addr: '10.0.0.2:2377', hostname: 'late' },
    },
    '10.0.0.2',
  )
  await t.rejects(joining, { code: 'UNAVAILABLE', message: /external CA at/ })
  t.equal(nodeCount(), 1, 'who got no certificate is no node')
  await t.rejects(renew(), { code: 'UNAVAILABLE', message: /external CA at https:.* fails: / })
  await t.rejects(update({ ForceRotate: 1 }), {
    code: 'INVALID_ARGUMENT',
    message: /corresponding to the current CA certificate/,
  })
  const again = await startSigner(t, outside, outside.certPem)
  const { life } = again
  again.life = () => ({ ...life(), notAfter: new Date() })
  await t.rejects(update({ ForceRotate: 1, ExternalCAs: settings(again.url) }), {
    code: 'UNAVAILABLE',
    message: /does not vouch for the new root: what it signed is valid from .* to .*/,
  })
  t.notOk(cluster().RootRotationInProgress)
  again.requests.length = 0
  again.life = life
  await update({ ForceRotate: 1, ExternalCAs: settings(again.url) })
  t.match(again.requests[0], { profile: 'CA', subject: { CN: 'swarm-ca' } })
  const { CACert, CAKey, CrossSignedCACert } = cluster().Swarmctl.RootRotation!
  t.not(CAKey, '')
  t.ok(trustedIssuer(CrossSignedCACert, outside.certPem))
  const back = await renew()
  t.equal(again.requests.length, 1, 'the managers sign again')
  t.ok(trustedIssuer(back.certPem, outside.certPem))
  t.ok(trustedIssuer(back.certPem, CACert))
})

t.test('its key comes into the cluster, or leaves it, without a rotation', async (t: Test) => {
  const { cluster, update, renew } = await setUp()
  const { RootCACert, RootCAKey } = cluster().Swarmctl
  const present: RootCA = { certPem: RootCACert, keyPem: RootCAKey }
  const signer = await startSigner(t, present, RootCACert)
  await update({ ExternalCAs: settings(signer.url) })
  await renew()
  t.equal(signer.requests.length, 1, 'it signs first, also while the managers could')
  await update({ SigningCACert: RootCACert, ExternalCAs: settings(signer.url) })
  t.equal(cluster().Swarmctl.RootCAKey, '')
  t.notOk(cluster().RootRotationInProgress)
  await renew()
  await t.rejects(update({ ExternalCAs: [] }), {
    message: /corresponding to the current CA certificate: none is set/,
  })
  const other = await createRootCA(realClock)
  const otherSigner = await startSigner(t, other, RootCACert)
  await t.rejects(
    update({
      SigningCACert: other.certPem,
      ExternalCAs: [...settings(signer.url), ...settings(otherSigner.url, other.certPem)],
    }),
    { message: /from one external CA to a different external CA is not supported/ },
  )
  await update({ SigningCACert: RootCACert, SigningCAKey: RootCAKey, ExternalCAs: [] })
  await renew()
  t.equal(signer.requests.length, 2, 'the managers sign again')
})

t.test('what a signer gives is looked at', async (t: Test) => {
  const { cluster, node, update, renew } = await setUp()
  const { RootCACert, RootCAKey } = cluster().Swarmctl
  const signer = await startSigner(t, { certPem: RootCACert, keyPem: RootCAKey }, RootCACert)
  await update({ ExternalCAs: settings(signer.url) })
  const otherKey = (await createKeyAndCsr()).csrPem
  const subject = { CN: node.ID, names: [{ OU: 'swarm-manager', O: cluster().ID }] }
  const cases: [string, typeof signer.distort, RegExp][] = [
    ['another key', (request) => ({ ...request, certificate_request: otherKey }), /another key/],
    [
      'another node',
      (request) => ({ ...request, subject: { ...subject, CN: 'x' } }),
      /without CN=.* in its subject/,
    ],
    [
      'another role',
      (request) => ({ ...request, subject: { ...subject, names: [{ OU: 'x' }] } }),
      /without OU=swarm-manager/,
    ],
    [
      'two roles',
      (request) => ({
        ...request,
        subject: {
          ...subject,
          names: [{ OU: 'swarm-worker' }, { OU: 'swarm-manager', O: cluster().ID }],
        },
      }),
      /without OU=swarm-manager alone/,
    ],
    [
      'a CA',
      (request) => ({
        ...request,
        profile: 'CA',
        extensions: [{ id: '2.5.29.19', critical: true, value: '' }],
      }),
      /certificate of a CA/,
    ],
    [
      'a refusal',
      () => {
        throw new Error('Policy violation')
      },
      /refuses to sign: Policy violation/,
    ],
  ]
  for (const [name, distort, message] of cases) {
    signer.distort = distort
    await t.rejects(renew(), { code: 'UNAVAILABLE', message }, name)
  }
  signer.distort = (request) => request
  const { life } = signer
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000)
  for (const [from, to] of [
    [-120, -1],
    [-120, 10],
    [60, 240],
  ] as const) {
    signer.life = () => ({ notBefore: inMinutes(from), notAfter: inMinutes(to) })
    const message = /valid from .* to .*, which must be from now on for an hour at least/
    await t.rejects(renew(), { code: 'UNAVAILABLE', message }, `from ${from} to ${to} minutes`)
  }
  signer.life = life
  const impostor = await createRootCA(realClock)
  const other = await startSigner(t, impostor, RootCACert)
  await update({ ExternalCAs: settings(other.url) })
  await t.rejects(renew(), { code: 'UNAVAILABLE', message: /fails: / }, 'another CA')
  t.equal(other.requests.length, 0, 'which was asked nothing')
  signer.distort = (request) => request
  await update({ ExternalCAs: [...settings(other.url), ...settings(signer.url)] })
  t.equal((await renew()).nodeId, node.ID, 'the next one is asked')
})

t.test('answers that are none', async (t: Test) => {
  const { cluster, external } = await setUp()
  const { RootCACert, RootCAKey } = cluster().Swarmctl
  const listener = await serverCertificate({ certPem: RootCACert, keyPem: RootCAKey })
  let reply: [status: number, body: string] = [200, '']
  const server = createServer(listener, (_request, response) => {
    response.writeHead(reply[0]).end(reply[1])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/sign`
  const request = {
    ...{ hosts: [], certificate_request: '', subject: { CN: 'x', names: [] }, profile: '' },
  }
  const cases: [typeof reply, RegExp][] = [
    [[200, 'hello'], /refuses to sign: HTTP status 200/],
    [[200, '{"success":true,"result":{}}'], /refuses to sign: HTTP status 200/],
    [[502, '<html>'], /HTTP status 502/],
    [[200, 'x'.repeat(300_000)], /its answer is too long/],
  ]
  for (const [given, message] of cases) {
    reply = given
    await t.rejects(external.sign(url, RootCACert, request), { code: 'UNAVAILABLE', message })
  }
  await external.reach(url, RootCACert)
  const other = await createRootCA(realClock)
  await t.rejects(external.reach(url, other.certPem), { code: 'UNAVAILABLE' })
  await t.rejects(external.reach('https://127.0.0.1:1/', RootCACert), /ECONNREFUSED/)
})

t.test('which signers are for a CA', async (t) => {
  const [a, b] = [await createRootCA(realClock), await createRootCA(realClock)]
  const ca = { RootCACert: a.certPem }
  const all = [
    ...settings('https://none-named'),
    ...settings('https://a', `x\n${a.certPem}`),
    ...settings('https://b', b.certPem),
    ...settings('https://both', a.certPem + b.certPem),
    ...settings('https://broken', '-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----'),
  ]
  t.strictSame(signersOf(all, a.certPem, ca), ['https://none-named', 'https://a', 'https://both'])
  t.strictSame(signersOf(all, b.certPem, ca), ['https://b', 'https://both'])
})
