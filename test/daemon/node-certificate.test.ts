import t, { type Test } from 'tap'
import { NodeCertificate } from '../../src/daemon/node-certificate.ts'
import { type Credentials, readCredentials } from '../../src/pki/credentials.ts'
import { crossSign } from '../../src/pki/cross-sign.ts'
import { createKeyAndCsr } from '../../src/pki/csr.ts'
import {
  createRootCA,
  NODE_LIFETIME_MS,
  type RootCA,
  signNodeCertificate,
} from '../../src/pki/root-ca.ts'
import { eventually } from '../support/lab/eventually.ts'
import { noLog, realClock } from '../support/rpc/cluster-fixture.ts'

const [old, next] = [await createRootCA(realClock), await createRootCA(realClock)]
const both = old.certPem + next.certPem
const cross = await crossSign(old, next.certPem)

const sign = (root: RootCA, csrPem: string) =>
  signNodeCertificate(
    root,
    { csrPem, nodeId: 'n1', role: 'worker', clusterId: 'c', lifetimeMs: NODE_LIFETIME_MS },
    realClock,
  )

/** A node with a certificate of the old root; what a renewal gives is the test's. */
const setUp = async (t: Test) => {
  const { keyPem, csrPem } = await createKeyAndCsr()
  const credentials = readCredentials({
    keyPem,
    certPem: await sign(old, csrPem),
    rootCAPem: old.certPem,
  })
  const ca = { root: next, chain: cross, rootCAPem: both, renewals: 0 }
  const stored: Credentials[] = []
  const used: Credentials[] = []
  const certificate = new NodeCertificate(
    {
      ...{ clock: realClock, random: () => 0.5, log: noLog },
      renew: async (csr) => {
        ca.renewals += 1
        return { certPem: (await sign(ca.root, csr)) + ca.chain, rootCAPem: ca.rootCAPem }
      },
      store: async (now) => void stored.push(now),
      onChange: async (now) => void used.push(now),
    },
    { credentials },
  )
  certificate.start()
  t.teardown(() => certificate.stop())
  return { certificate, ca, stored, used, credentials }
}

const trusts = (certificate: NodeCertificate, rootCAPem: string) =>
  eventually(() => certificate.current.rootCAPem === rootCAPem, { what: 'it trusts that' })

t.test('it follows the roots that the leader names', async (t) => {
  const { certificate, ca, stored, used, credentials } = await setUp(t)
  certificate.onTrustRoot(old.certPem)
  certificate.onTrustRoot('')
  certificate.onTrustRoot(both)
  await trusts(certificate, both)
  t.equal(certificate.current.certPem, credentials.certPem)
  t.strictSame([stored.length, used.length], [1, 1], 'what changes nothing is not stored')
  await certificate.renewNow()
  certificate.onTrustRoot(next.certPem)
  await trusts(certificate, next.certPem)
  t.equal(ca.renewals, 1)
  t.strictSame(stored.at(-1), certificate.current)
  t.strictSame(used, stored, 'stored first, and each one used')
})

t.test('it does not trust whom its own certificate is worth nothing with: it renews', async (t) => {
  const { certificate, ca } = await setUp(t)
  certificate.onTrustRoot(next.certPem)
  await trusts(certificate, next.certPem)
  t.equal(ca.renewals, 1)
  t.match(certificate.current.certPem, cross)
})

t.test('what the leader said last goes before what a renewal says', async (t) => {
  const { certificate, ca } = await setUp(t)
  certificate.onTrustRoot(both)
  await trusts(certificate, both)
  await certificate.renewNow()
  certificate.onTrustRoot(next.certPem)
  await trusts(certificate, next.certPem)
  ca.rootCAPem = both
  await certificate.renewNow()
  t.equal(certificate.current.rootCAPem, next.certPem, 'the answer was made before')
})

t.test('when it is stopped nothing changes any more', async (t) => {
  const { certificate, ca, stored } = await setUp(t)
  const renewing = certificate.renewNow()
  await certificate.stop()
  await renewing
  t.equal(stored.length, 1, 'what runs is finished')
  certificate.onTrustRoot(next.certPem)
  certificate.onRenewCertificate()
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame([stored.length, ca.renewals], [1, 1])
  // A demotion that waited while the node left: another swarm's credentials may be in its place by now.
  await t.rejects(certificate.renewNow(), { code: 'UNAVAILABLE' })
  t.equal(stored.length, 1)
})
