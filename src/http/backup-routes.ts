import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { invalid } from '../api/errors.ts'
import { RestoreRequest } from '../api/swarm.ts'
import { parseBody } from '../api/validate/body.ts'
import { readJson } from './body.ts'
import { requireManager, requireNoSwarm } from './membership.ts'
import { sendJson, writePart } from './reply.ts'
import type { Exchange, Route } from './routes.ts'

/** Carries a passphrase, UTF-8 in base64, beside a body that is a file. */
const PASSPHRASE_HEADER = 'x-swarmctl-passphrase'

const BackupRequest = z.object({ Passphrase: z.string().min(1).max(1024) })

/** The state, sealed, as a file. An answer that breaks off is no backup. */
const backup = async ({ port, request, response }: Exchange): Promise<void> => {
  requireManager(port.status())
  const { Passphrase } = parseBody(BackupRequest, await readJson(request, BackupRequest))
  const { clusterId, index, bytes } = await port.backup(Passphrase)
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'X-Swarmctl-Cluster': clusterId,
    'X-Swarmctl-Index': String(index),
  })
  // Also when nothing follows: an answer that breaks off must be seen as one.
  response.flushHeaders()
  try {
    for await (const part of bytes) {
      if (response.destroyed) return
      await writePart(response, part)
    }
    response.end()
  } catch (error) {
    // The status is gone; the broken connection says it.
    response.destroy(error as Error)
  }
}

const restore = async (exchange: Exchange): Promise<void> => {
  try {
    await restoreFrom(exchange)
  } catch (error) {
    // A client that is still writing would see its connection break instead of the answer.
    await drained(exchange.request)
    throw error
  }
}

/** Resolves when nothing more comes. */
const drained = async (request: IncomingMessage): Promise<void> => {
  if (request.readableEnded || request.destroyed) return
  request.resume()
  await Promise.race([once(request, 'end'), once(request, 'close')])
}

const restoreFrom = async ({ port, request, response, query }: Exchange): Promise<void> => {
  requireNoSwarm(port.status())
  const header = request.headers[PASSPHRASE_HEADER]
  if (typeof header !== 'string') throw invalid('the passphrase of the backup is missing')
  const passphrase = Buffer.from(header, 'base64').toString('utf8')
  const wanted = parseBody(RestoreRequest, Object.fromEntries(query))
  sendJson(response, 200, await port.restore(wanted, passphrase, request))
}

/** Backup and restore: not Docker's. Both are for the machine's own socket. */
export const backupRoutes: readonly Route[] = [
  { method: 'POST', path: '/swarmctl/backup', place: 'local', handle: backup },
  { method: 'POST', path: '/swarmctl/restore', place: 'local', handle: restore },
]
