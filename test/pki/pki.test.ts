import { randomBytes, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import { checkValidity, LOCKED_KEY, readCredentials } from '../../src/pki/credentials.ts'
import {
  credentialsPath,
  loadCredentials,
  storeCredentials,
} from '../../src/pki/credentials-file.ts'
import { createKeyAndCsr, readCsr } from '../../src/pki/csr.ts'
import { DATA_KEY_BYTES, loadDataKey, newUnlockKey, storeDataKey } from '../../src/pki/data-key.ts'
import { newJoinToken, parseJoinToken, rootDigest, sameToken } from '../../src/pki/join-token.ts'
import {
  createRootCA,
  NODE_LIFETIME_MS,
  ROOT_LIFETIME_MS,
  signNodeCertificate,
  tlsInfoOf,
} from '../../src/pki/root-ca.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000
const at = (nowMs: number): Clock => ({ nowMs: () => nowMs, schedule: () => () => {} })
const clock = at(NOW_MS)
const root = await createRootCA(clock)
const otherRoot = await createRootCA(clock)

const issue = async (role: 'worker' | 'manager' = 'worker') => {
  const { keyPem, csrPem } = await createKeyAndCsr()
  const certPem = await signNodeCertificate(
    root,
    { csrPem, nodeId: 'node-1', role, clusterId: 'cluster-1', lifetimeMs: NODE_LIFETIME_MS },
    clock,
  )
  return { keyPem, certPem, rootCAPem: root.certPem }
}

const directory = async (t: Test): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'swarmctl-pki-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}

t.test('certificates say who the node is', async (t) => {
  for (const role of ['worker', 'manager'] as const) {
    const { certPem } = await issue(role)
    const cert = new X509Certificate(certPem)
    const issuer = new X509Certificate(root.certPem)
    t.equal(cert.subject, `CN=node-1\nOU=swarm-${role}\nO=cluster-1`)
    t.equal(cert.subjectAltName, `DNS:node-1, DNS:swarm-${role}`)
    t.equal(cert.issuer, 'CN=swarm-ca')
    t.notOk(cert.ca)
    t.ok(issuer.ca)
    t.ok(cert.checkIssued(issuer))
    t.ok(cert.verify(issuer.publicKey))
    t.notOk(cert.verify(new X509Certificate(otherRoot.certPem).publicKey))
    t.same(cert.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'], 'server and client')
    t.equal(cert.validFromDate.getTime(), NOW_MS - HOUR_MS)
    t.equal(cert.validToDate.getTime(), NOW_MS + 90 * 24 * HOUR_MS)
    t.equal(cert.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    t.equal(issuer.validToDate.getTime(), NOW_MS + ROOT_LIFETIME_MS)
  }
  const tlsInfo = tlsInfoOf(await issue())
  t.equal(tlsInfo.TrustRoot, root.certPem)
  const spki = new X509Certificate(root.certPem).publicKey.export({ type: 'spki', format: 'der' })
  t.equal(tlsInfo.CertIssuerPublicKey, spki.toString('base64'))
  t.match(Buffer.from(tlsInfo.CertIssuerSubject, 'base64').toString('latin1'), /swarm-ca/)
})

t.test('requests are checked', async (t) => {
  const { csrPem } = await createKeyAndCsr()
  t.equal((await readCsr(csrPem)).publicKeyId, (await readCsr(csrPem)).publicKeyId)
  const other = await readCsr((await createKeyAndCsr()).csrPem)
  t.not((await readCsr(csrPem)).publicKeyId, other.publicKeyId)
  const der = Buffer.from(csrPem.replace(/-----.*-----|\s/g, ''), 'base64')
  der[der.length - 1]! ^= 1
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`
  for (const bad of ['', 'nonsense', forged, 'x'.repeat(100_000)]) {
    await t.rejects(readCsr(bad), { code: 'INVALID_ARGUMENT' })
  }
})

t.test('join tokens', async (t) => {
  const token = newJoinToken(root.certPem)
  t.match(token, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/)
  t.not(newJoinToken(root.certPem), token, 'rotation changes the secret')
  const parsed = parseJoinToken(` ${token}\n`)
  t.equal(parsed.rootDigest, rootDigest(root.certPem))
  t.not(parsed.rootDigest, rootDigest(otherRoot.certPem))
  t.equal(newJoinToken(root.certPem, () => 'a'.repeat(25)).slice(-25), 'a'.repeat(25))
  t.ok(sameToken(token, token))
  t.notOk(sameToken(token, `${token} `))
  for (const bad of ['', 'SWMTKN-1-abc-def', token.slice(1), token.toUpperCase()]) {
    t.throws(() => parseJoinToken(bad), { code: 'INVALID_ARGUMENT' })
  }
})

t.test('credentials must belong together', async (t) => {
  const pem = await issue('manager')
  const credentials = readCredentials(pem)
  t.match(credentials, { nodeId: 'node-1', role: 'manager', clusterId: 'cluster-1' })
  t.equal(credentials.notAfter, NOW_MS + NODE_LIFETIME_MS)
  const bundle = { ...pem, rootCAPem: otherRoot.certPem + root.certPem }
  t.equal(readCredentials(bundle).nodeId, 'node-1', 'one of several roots')
  const { keyPem } = await issue()
  const cases: [Partial<typeof pem>, RegExp][] = [
    [{ keyPem }, /private key is not the certificate's/],
    [{ rootCAPem: otherRoot.certPem }, /not signed by the cluster's root/],
    [{ certPem: 'damaged' }, /unusable/],
    [{ certPem: root.certPem, keyPem: root.keyPem }, /names no node/],
  ]
  for (const [change, message] of cases) {
    t.throws(() => readCredentials({ ...pem, ...change }), { code: 'UNAUTHENTICATED', message })
  }
  checkValidity(credentials, clock)
  t.throws(() => checkValidity(credentials, at(NOW_MS + NODE_LIFETIME_MS + 1)), {
    code: 'UNAUTHENTICATED',
    message: /it expired at 2026-04-01T00:00:00.000Z and this machine's clock says/,
  })
  t.throws(() => checkValidity(credentials, at(NOW_MS - 2 * HOUR_MS)), {
    code: 'UNAUTHENTICATED',
    message: /set the clocks of the machines right/,
  })
})

t.test('credentials on disk', async (t) => {
  const path = await directory(t)
  t.equal(await loadCredentials(path), undefined)
  const first = readCredentials(await issue('worker'))
  await storeCredentials(path, first)
  t.same(await loadCredentials(path), first)
  t.equal((await stat(credentialsPath(path))).mode & 0o777, 0o600)
  await writeFile(`${credentialsPath(path)}.new`, 'left by a crash', { mode: 0o644 })
  const second = readCredentials(await issue('manager'))
  await storeCredentials(path, second)
  t.same(await loadCredentials(path), second)
  t.equal((await stat(credentialsPath(path))).mode & 0o777, 0o600)
  t.same(await readdir(path), ['credentials.json'])

  const dataKey = randomBytes(DATA_KEY_BYTES)
  await storeCredentials(path, second, dataKey)
  t.notMatch(await readFile(credentialsPath(path), 'utf8'), /PRIVATE KEY/)
  t.same(await loadCredentials(path, dataKey), second)
  t.same(await loadCredentials(path), { ...second, keyPem: LOCKED_KEY }, 'who, but no proof')
  await t.rejects(loadCredentials(path, randomBytes(DATA_KEY_BYTES)), /is damaged/)

  await writeFile(credentialsPath(path), '{"version": 3}')
  await t.rejects(loadCredentials(path), { code: 'UNIMPLEMENTED', message: /newer swarmctl/ })
  for (const damaged of ['', '{"version": 1}', '[]']) {
    await writeFile(credentialsPath(path), damaged)
    await t.rejects(loadCredentials(path), { code: 'UNAUTHENTICATED', message: /join it again/ })
  }
})

t.test('the data key', async (t) => {
  const path = await directory(t)
  t.equal(await loadDataKey(path), undefined)
  const key = randomBytes(DATA_KEY_BYTES)
  const open = { kind: 'open', key }
  await storeDataKey(path, key)
  t.same(await loadDataKey(path), open)
  t.equal((await stat(join(path, 'data-key.json'))).mode & 0o777, 0o600)

  const unlockKey = newUnlockKey()
  t.match(unlockKey, /^SWMKEY-1-[A-Za-z0-9+/]{43}$/)
  await storeDataKey(path, key, unlockKey)
  const text = await readFile(join(path, 'data-key.json'), 'utf8')
  t.notOk(text.includes(key.toString('base64')))
  t.same(await loadDataKey(path), { kind: 'locked' })
  t.same(await loadDataKey(path, unlockKey), open)
  for (const wrong of [newUnlockKey(), 'nonsense', '']) {
    await t.rejects(loadDataKey(path, wrong), {
      code: 'UNAUTHENTICATED',
      message: 'swarm could not be unlocked: invalid key provided',
    })
  }
  await writeFile(join(path, 'data-key.json'), 'damaged')
  await t.rejects(loadDataKey(path), { code: 'INTERNAL', message: /is damaged/ })
  await writeFile(join(path, 'data-key.json'), '{"version": 2}')
  await t.rejects(loadDataKey(path), { code: 'UNIMPLEMENTED', message: /newer swarmctl/ })
})
