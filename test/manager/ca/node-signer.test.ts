import { createSecureContext } from 'node:tls'
import t from 'tap'
import { newId } from '../../../src/api/id.ts'
import { withRotation } from '../../../src/manager/ca/cluster-ca.ts'
import { createCluster } from '../../../src/manager/ca/create-cluster.ts'
import { signNode } from '../../../src/manager/ca/node-signer.ts'
import { certificatesOf } from '../../../src/pki/certificate-chain.ts'
import { crossSign } from '../../../src/pki/cross-sign.ts'
import { createKeyAndCsr } from '../../../src/pki/csr.ts'
import { createRootCA, NODE_LIFETIME_MS, signNodeCertificate } from '../../../src/pki/root-ca.ts'
import { realClock } from '../../support/rpc/cluster-fixture.ts'

t.test('a signer may write its PEM as it likes', async (t) => {
  const { cluster } = await createCluster(
    { clock: realClock, newId },
    { spec: { Name: 'default', Labels: {} }, addr: '10.0.0.1:2377' },
  )
  const next = await createRootCA(realClock)
  const { RootCACert: certPem, RootCAKey: keyPem } = cluster.Swarmctl
  const rotating = withRotation(cluster, {
    ...{ CACert: next.certPem, CAKey: '' },
    CrossSignedCACert: await crossSign({ certPem, keyPem }, next.certPem),
  })
  const ExternalCAs = [{ Protocol: 'cfssl', URL: 'https://signer', CACert: next.certPem }]
  rotating.Spec = { ...rotating.Spec, CAConfig: { ExternalCAs } }
  const node = await createKeyAndCsr()
  const request = {
    ...{ csrPem: node.csrPem, nodeId: 'n1', role: 'worker' as const, clusterId: cluster.ID },
    lifetimeMs: NODE_LIFETIME_MS,
  }
  const signed = await signNodeCertificate(next, request, realClock)
  for (const answer of [signed, signed.trim(), `of the node:\r\n${signed.trim()}\nend`]) {
    const external = { sign: async () => answer, reach: async () => {} }
    const chain = await signNode({ clock: realClock, external }, rotating, request)
    t.equal(certificatesOf(chain).length, 2, 'the new root as the old one signed it is behind it')
    t.ok(createSecureContext({ cert: chain, key: node.keyPem }))
    t.equal(chain, `${signed.trim()}\n${rotating.Swarmctl.RootRotation?.CrossSignedCACert}`)
  }
})
