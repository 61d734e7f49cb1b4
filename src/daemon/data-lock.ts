import { type FileHandle, open, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { precondition } from '../api/errors.ts'
import { answers, listenPrivately } from './socket-file.ts'

/** A socket: with its process it falls silent, however that ended, and it is seen from other network namespaces. */
const NAME = 'daemon.lock'

const inUse = (directory: string) =>
  precondition(
    `another daemon uses ${directory}: stop it first, or give this one its own --data-dir, --run-dir and --socket`,
  )

const hold = async (directory: string, handle: FileHandle): Promise<() => Promise<void>> => {
  // By this way the directory's name may be longer than a socket's path (unix(7)).
  const path = `/proc/self/fd/${handle.fd}/${NAME}`
  if (await answers(path)) throw inUse(directory)
  const server = createServer((socket) => socket.destroy())
  try {
    await rm(path, { force: true })
    await listenPrivately(server, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw inUse(directory)
    // A disk that takes no sockets, or nothing at all for now: what is wrong with it is told by who needs it.
    return () => handle.close()
  }
  server.unref()
  return async () => {
    await new Promise((resolve) => server.close(resolve))
    await handle.close()
  }
}

/**
 * Keeps a data directory for this process until the returned function is called: a second daemon on it, at another socket, would begin
 * a swarm over the first one's log. @throws SwarmctlError FAILED_PRECONDITION when another one has it
 */
export const lockData = async (directory: string): Promise<() => Promise<void>> => {
  const handle = await open(directory, 'r')
  try {
    return await hold(directory, handle)
  } catch (error) {
    await handle.close()
    throw error
  }
}
