/** Daemons in this process, with an Engine that has nothing on it. No program of the host is started, and no setting of it changed. */

import { mkdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { InitRequest, JoinRequest } from '../../../src/api/swarm.ts'
import { Daemon } from '../../../src/daemon/daemon.ts'
import { systemClock } from '../../../src/daemon/system-clock.ts'
import { ProcessExec } from '../../../src/overlay/exec.ts'
import { HostProc } from '../../../src/overlay/proc.ts'
import { SecretsTmpfs } from '../../../src/worker/secrets-tmpfs.ts'
import { noLog } from '../rpc/cluster-fixture.ts'

ProcessExec.prototype.run = async () => ({ code: 0, stdout: '', stderr: '' })
ProcessExec.prototype.watch = () => ({ stop: () => {} })
HostProc.prototype.write = async () => {}
SecretsTmpfs.prototype.open = async () => {}
SecretsTmpfs.prototype.keepOnly = async () => {}
SecretsTmpfs.prototype.destroy = async () => {}

let made = 0

export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A daemon on a data directory, started. */
export const daemonOn = async (dataDir: string, engine: string, log = noLog): Promise<Daemon> => {
  made += 1
  const runDir = join(dataDir, '..', `run${made}`)
  mkdirSync(runDir)
  const daemon = new Daemon(
    {
      ...{ clock: systemClock, log, random: Math.random },
      onFatal: (error) => {
        throw error
      },
    },
    {
      ...{ dataDir, runDir, socket: join(runDir, 'd.sock'), dockerHost: `unix://${engine}` },
      ...{ dataPlane: 'proxy', dataPathPort: 4789, logLevel: 'error' },
    },
  )
  await daemon.start()
  return daemon
}

export const initRequest = (port: number, more: object = {}): InitRequest =>
  InitRequest.parse({
    ...{ ListenAddr: `127.0.0.1:${port}`, AdvertiseAddr: `127.0.0.1:${port}`, ...more },
  })

export const joinRequest = (port: number, to: number, token: string): JoinRequest =>
  JoinRequest.parse({
    ...{ ListenAddr: `127.0.0.1:${port}`, AdvertiseAddr: `127.0.0.1:${port}` },
    ...{ RemoteAddrs: [`127.0.0.1:${to}`], JoinToken: token },
  })
