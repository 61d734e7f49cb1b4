/** A private registry on one host of a lab. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { BackgroundProcess } from './background-process.ts'
import { runCommand } from './command.ts'
import { eventually } from './eventually.ts'
import type { LabHost } from './host.ts'
import { testImageFile } from './test-image.ts'

/** What every Engine of the lab needs, to pull without TLS. */
export const INSECURE_REGISTRY = ['--insecure-registry', '198.18.0.0/15']

const PORT = 5000
const SERVER = join(import.meta.dirname, 'registry-server.ts')

/** A running registry. */
export interface Registry {
  /** The image's name: `198.18.3.11:5000/private:1`. */
  readonly image: string
  /** `host:port`, as in a docker configuration. */
  readonly name: string
  /** Its log has one line per request: `anonymous|USER METHOD PATH`. */
  readonly process: BackgroundProcess
}

/** Starts it on `host`, for the user and password `credentials` (`user:password`). */
export const startRegistry = async (host: LabHost, credentials: string): Promise<Registry> => {
  const folder = join(host.dir, 'registry')
  mkdirSync(folder)
  await runCommand('tar', ['-xf', await testImageFile(), '-C', folder])
  const name = `${host.ip}:${PORT}`
  const server = await host.spawn(
    [process.execPath, SERVER, host.ip, String(PORT), credentials, folder],
    { logName: 'registry' },
  )
  await eventually(() => server.log().includes('listening'), { what: 'the registry listens' })
  return { image: `${name}/private:1`, name, process: server }
}
