import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { claimSocket, listenPrivately, openToGroup } from '../../src/daemon/socket-file.ts'
import { asNobody } from '../support/as-nobody.ts'

t.test('a socket that answers, or that is closed to us, is not ours', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'socket-file-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  chmodSync(dir, 0o711)
  const path = join(dir, 'docker.sock')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const refused = {
    code: 'FAILED_PRECONDITION',
    message: new RegExp(`^another daemon answers at ${path}: stop it`),
  }
  await t.rejects(claimSocket(path), refused)
  await asNobody(path, () => t.rejects(claimSocket(path), refused))
  t.ok(existsSync(path), 'it was left alone')
  await new Promise((resolve) => server.close(resolve))
  await claimSocket(path)
  t.notOk(existsSync(path))
})

t.test('the socket is nobody else’s before it is opened to the group', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'socket-file-'))
  const path = join(dir, 'docker.sock')
  const before = process.umask(0)
  t.teardown(() => {
    process.umask(before)
    rmSync(dir, { recursive: true })
  })
  const server = createServer()
  const modeOf = () => statSync(path).mode & 0o777
  await listenPrivately(server, path)
  t.equal(modeOf(), 0o600)
  t.equal(process.umask(), 0, 'for this file alone')
  await openToGroup(path)
  t.equal(modeOf(), 0o660)
  await t.rejects(listenPrivately(createServer(), path), { code: 'EADDRINUSE' })
  t.equal(process.umask(), 0)
  await new Promise((resolve) => server.close(resolve))
})

t.test('what is no socket is not removed', async (t) => {
  const dir = t.testdir({ file: 'precious', directory: {} })
  for (const name of ['file', 'directory']) {
    const path = join(dir, name)
    await t.rejects(claimSocket(path), {
      code: 'FAILED_PRECONDITION',
      message: `${path} is no socket: name another --socket, or remove it`,
    })
    t.ok(existsSync(path))
  }
})
