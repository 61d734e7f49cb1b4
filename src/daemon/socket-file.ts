import { chmod, chown, lstat, mkdir, readFile, rm } from 'node:fs/promises'
import { createConnection, type Server } from 'node:net'
import { dirname } from 'node:path'
import { precondition } from '../api/errors.ts'

/** Docker's group: its members may use the socket, which is worth root. */
const GROUP = 'docker'
const SOCKET_MODE = 0o660

const groupId = async (name: string): Promise<number | undefined> => {
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  const line = groups.split('\n').find((entry) => entry.startsWith(`${name}:`))
  return line === undefined ? undefined : Number(line.split(':')[2])
}

/** Whether a process listens at the path, or may. */
export const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Who may not ask can't know that nobody is there, nor who finds a queue that is full (connect(2)).
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) =>
      resolve(['EACCES', 'EPERM', 'EAGAIN'].includes(code)),
    )
  })

/** Makes the path free: a socket that a dead daemon left is removed, one that answers is another daemon's. @throws SwarmctlError FAILED_PRECONDITION */
export const claimSocket = async (path: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  if (await answers(path)) {
    throw precondition(
      `another daemon answers at ${path}: stop it first, or give this one its own --socket, --run-dir and --data-dir`,
    )
  }
  const found = await lstat(path).catch(() => undefined)
  // Whoever named it meant another path.
  if (found && !found.isSocket() && !found.isSymbolicLink()) {
    throw precondition(`${path} is no socket: name another --socket, or remove it`)
  }
  await rm(path, { force: true })
}

/** Listens at the path. Until `openToGroup` nobody but root gets in, whatever the umask is. */
export const listenPrivately = async (server: Server, path: string): Promise<void> => {
  const umask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      // The socket is bound, and made, within this call.
      server.listen(path, resolve)
      process.umask(umask)
    })
  } finally {
    process.umask(umask)
  }
}

/** Lets root and, where it exists, the group docker use the socket. */
export const openToGroup = async (path: string): Promise<void> => {
  await chmod(path, SOCKET_MODE)
  const gid = await groupId(GROUP)
  if (gid !== undefined) await chown(path, 0, gid)
}
