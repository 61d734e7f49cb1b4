import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { claimSocket } from '../../src/daemon/socket-file.ts'
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
