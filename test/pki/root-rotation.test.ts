/** Certificates while a root is replaced: who trusts whom, on real TLS sockets, also with a CA that OpenSSL made. */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { normalCAKey } from '../../src/pki/ca-key.ts'
import { normalCertificates, trustedIssuer } from '../../src/pki/certificate-chain.ts'
import { type Credentials, readCredentials } from '../../src/pki/credentials.ts'
import { crossSign } from '../../src/pki/cross-sign.ts'
import { createKeyAndCsr } from '../../src/pki/csr.ts'
import {
  createRootCA,
  issuerInfoOf,
  NODE_LIFETIME_MS,
  type RootCA,
  signNodeCertificate,
  tlsInfoOf,
} from '../../src/pki/root-ca.ts'
import { readSuppliedCA } from '../../src/pki/supplied-ca.ts'
import { connect } from '../../src/rpc/client.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { RpcServer } from '../../src/rpc/server.ts'
import { noLog, realClock } from '../support/rpc/cluster-fixture.ts'

const deps = { log: noLog, clock: realClock }
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })

/** A root as an administrator makes it. */
const opensslCA = (t: Test, algorithm: readonly string[], more: readonly string[] = []): RootCA => {
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-ca-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  openssl('genpkey', ...algorithm, '-out', key)
  const subject = ['-subj', '/C=DE/O=Müller & Söhne/CN=our own root', '-utf8']
  openssl('req', '-x509', '-key', key, '-days', '3650', ...subject, ...more, '-out', cert)
  return { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') }
}

const RSA = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
const P384 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']

const issue = async (
  root: RootCA,
  trusted: string,
  chain = '',
  nodeId = 'node-1',
): Promise<Credentials> => {
  const { keyPem, csrPem } = await createKeyAndCsr()
  const request = { csrPem, nodeId, role: 'manager' as const, clusterId: 'c' }
  const certPem = await signNodeCertificate(
    root,
    { ...request, lifetimeMs: NODE_LIFETIME_MS },
    realClock,
  )
  return readCredentials({ keyPem, certPem: certPem + chain, rootCAPem: trusted })
}

/** Whether these two reach each other, each as client and as server. */
const meet = async (t: Test, a: Credentials, b: Credentials) => {
  const outcomes: string[] = []
  for (const [server, client] of [
    [a, b],
    [b, a],
  ] as const) {
    const handlers = new RpcHandlers()
    handlers.onRequest('whoami', async (_body, { peer }) => peer?.nodeId)
    const listener = new RpcServer(
      { ...deps, handlers },
      { listenAddr: '127.0.0.1:0', credentials: server },
    )
    await listener.start()
    t.teardown(() => listener.stop())
    const options = { ...deps, credentials: client, handlers: new RpcHandlers() }
    const outcome = await connect(`127.0.0.1:${listener.port}`, options).then(
      async (connection) => {
        const nodeId = await connection.request('whoami', {})
        connection.close()
        return String(nodeId)
      },
      (error: { code: string }) => error.code,
    )
    outcomes.push(outcome)
  }
  return outcomes
}

t.test('while the root is replaced every pair of nodes talks', async (t) => {
  const old = await createRootCA(realClock)
  const supplied = (ca: RootCA) => readSuppliedCA(ca, realClock.nowMs())
  const roots: [string, RootCA][] = [
    ['a made one', await createRootCA(realClock)],
    ['an RSA one of another name', supplied(opensslCA(t, RSA))],
    ['one on P-384', supplied(opensslCA(t, P384))],
  ]
  for (const [name, next] of roots) {
    await t.test(name, async (t) => {
      const cross = await crossSign(old, next.certPem)
      const both = normalCertificates(old.certPem + next.certPem)
      const before = await issue(old, old.certPem, '', 'before')
      const during = await issue(next, both, cross, 'during')
      const behind = await issue(next, old.certPem, cross, 'behind')
      const after = await issue(next, next.certPem, '', 'after')
      t.strictSame(await meet(t, before, during), ['during', 'before'])
      t.strictSame(await meet(t, before, behind), ['behind', 'before'])
      t.strictSame(await meet(t, behind, during), ['during', 'behind'])
      t.strictSame(await meet(t, during, after), ['after', 'during'])
      t.strictSame(
        await meet(t, before, after),
        ['UNAUTHENTICATED', 'UNAUTHENTICATED'],
        'who missed all of it is out',
      )
      const wanted = issuerInfoOf(next.certPem)
      for (const node of [during, behind, after]) {
        t.match(tlsInfoOf(node), wanted, 'who signed it, whichever way it is trusted')
      }
      t.match(tlsInfoOf(before), issuerInfoOf(old.certPem))
      t.equal(tlsInfoOf(during).TrustRoot, both)
      t.throws(() => readCredentials({ ...during, rootCAPem: after.certPem }), {
        code: 'UNAUTHENTICATED',
      })

      // The next one, and a second while the first is under way.
      const third = await createRootCA(realClock)
      const fromOld = await issue(
        third,
        normalCertificates(old.certPem + third.certPem),
        await crossSign(old, third.certPem),
        'third',
      )
      t.strictSame(await meet(t, fromOld, behind), ['behind', 'third'])
      t.strictSame(await meet(t, fromOld, during), ['during', 'third'])
      const fromNext = await issue(third, next.certPem, await crossSign(next, third.certPem), 'on')
      t.strictSame(await meet(t, fromNext, after), ['after', 'on'], 'it can be rotated away again')
    })
  }
})

t.test('a root without room below it vouches for its own name only', async (t) => {
  // What clusters were made with before their root could be rotated.
  const narrow = opensslCA(t, P384, ['-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0'])
  await t.rejects(crossSign(narrow, (await createRootCA(realClock)).certPem), {
    code: 'FAILED_PRECONDITION',
    message: /path length 0.*rotate without --ca-cert first/,
  })
  const sameName = opensslCA(t, RSA)
  const cross = await crossSign(narrow, sameName.certPem)
  const before = await issue(narrow, narrow.certPem, '', 'before')
  const during = await issue(sameName, sameName.certPem + narrow.certPem, cross, 'during')
  t.strictSame(await meet(t, before, during), ['during', 'before'])
})

t.test('a CA that somebody brings is checked', async (t) => {
  const ca = opensslCA(t, RSA)
  const nowMs = realClock.nowMs()
  const read = (change: Partial<RootCA>, atMs = realClock.nowMs()) =>
    readSuppliedCA({ ...ca, ...change }, atMs)
  const { certPem, keyPem } = read({ certPem: `Subject: us\n${ca.certPem}\n\n` })
  t.equal(certPem, String(new X509Certificate(ca.certPem)), 'the certificate and nothing else')
  t.equal(normalCAKey(keyPem), keyPem)
  const traditional = execFileSync('openssl', ['rsa', '-traditional'], {
    input: ca.keyPem,
    stdio: 'pipe',
  }).toString()
  t.match(traditional, /BEGIN RSA PRIVATE KEY/)
  t.equal(read({ keyPem: traditional }).keyPem, keyPem, "in any of OpenSSL's forms")
  t.equal(read({ keyPem: '' }).keyPem, '')

  const other = await createRootCA(realClock)
  const leaf = (await issue(other, other.certPem)).certPem
  const year = 365 * 24 * 3_600_000
  const small = opensslCA(t, ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'])
  const narrow = opensslCA(t, P384, ['-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0'])
  const cross = await crossSign(other, ca.certPem)
  const cases: [string, () => unknown, RegExp][] = [
    ['nothing', () => read({ certPem: 'x' }), /could not parse the desired CA certificate/],
    [
      'damaged',
      () => read({ certPem: ca.certPem.replace(/[A-Z]{5}/, 'AAAAA') }),
      /could not parse|signed by its own key/,
    ],
    ['two', () => read({ certPem: ca.certPem + other.certPem }), /cannot contain multiple/],
    ['no CA', () => read({ certPem: leaf }), /not the certificate of a CA/],
    ['no root', () => read({ certPem: cross }), /signed by its own key/],
    ['late', () => read({}, nowMs + 9.5 * year), /expires too soon/],
    ['early', () => read({}, nowMs - year), /not valid yet/],
    ['no key', () => read({ keyPem: 'x' }), /key can't be read/],
    ['another key', () => read({ keyPem: other.keyPem }), /key mismatch/],
    ['a weak key', () => read(small), /at least 2048 bits/],
    ['no room', () => read(narrow), /path length 0/],
    ...[
      'extendedKeyUsage=codeSigning',
      'extendedKeyUsage=clientAuth',
      'extendedKeyUsage=anyExtendedKeyUsage',
      'nameConstraints=critical,permitted;DNS:example.com',
      '1.2.3.4=critical,ASN1:UTF8String:x',
    ].map((extension): [string, () => unknown, RegExp] => [
      extension,
      () => read(opensslCA(t, P384, ['-addext', extension])),
      /nodes could not verify each other by it/,
    ]),
  ]
  for (const [name, run, message] of cases) {
    t.throws(run, { code: 'INVALID_ARGUMENT', message }, name)
  }
})

t.test('a CA with extensions that nodes can go by', async (t) => {
  const extensions = [
    'extendedKeyUsage=critical,serverAuth,clientAuth,codeSigning',
    'keyUsage=critical,keyCertSign,cRLSign',
    'certificatePolicies=1.2.3.4',
    'subjectAltName=critical,DNS:ca',
    'policyConstraints=critical,requireExplicitPolicy:9',
  ].flatMap((extension) => ['-addext', extension])
  const ca = readSuppliedCA(opensslCA(t, P384, extensions), realClock.nowMs())
  const [a, b] = [await issue(ca, ca.certPem, '', 'a'), await issue(ca, ca.certPem, '', 'b')]
  t.strictSame(await meet(t, a, b), ['b', 'a'])
})

t.test('a chain is trusted only through a CA', async (t) => {
  const root = await createRootCA(realClock)
  const node = await issue(root, root.certPem)
  // A node's key signs a certificate of its own making.
  const forged = await signNodeCertificate(
    { certPem: node.certPem, keyPem: node.keyPem },
    {
      ...{ csrPem: (await createKeyAndCsr()).csrPem, nodeId: 'x', role: 'manager' },
      ...{ clusterId: 'c', lifetimeMs: NODE_LIFETIME_MS },
    },
    realClock,
  )
  t.equal(trustedIssuer(forged + node.certPem, root.certPem), undefined)
  t.equal(trustedIssuer('', root.certPem), undefined)
  t.equal(root.certPem, normalCertificates(root.certPem), 'a root is kept in the one form')
})
