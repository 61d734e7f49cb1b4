import { resolve } from 'node:path'
import { invalid } from '../api/errors.ts'

/** `auto` is the kernel where nftables works, else the proxy. */
export type DataPlaneChoice = 'auto' | 'kernel' | 'proxy'

/** The daemon's flags (design §3), parsed. */
export interface DaemonOptions {
  dataDir: string
  runDir: string
  socket: string
  dockerHost: string
  dataPlane: DataPlaneChoice
  dataPathPort: number
  logLevel: string
}

/** A Unix socket's path must fit `sockaddr_un`, with its terminating zero. */
const SOCKET_PATH_LENGTH_MAX = 107

const PORT_MAX = 65_535

const directory = (flag: string, value: unknown): string => {
  if (value === '') throw invalid(`invalid ${flag} "": a directory`)
  return resolve(String(value))
}

/** Checks what the command line gave. */
export const parseDaemonOptions = (raw: Record<string, unknown>): DaemonOptions => {
  // Absolute: the Engine mounts what is in the run directory, and takes another word for a volume's name.
  const runDir = directory('--run-dir', raw.runDir)
  const socket = String(raw.socket ?? `${runDir}/docker.sock`).replace(/^unix:\/\//, '')
  if (Buffer.byteLength(socket) > SOCKET_PATH_LENGTH_MAX) {
    throw invalid(
      `--socket ${socket} is longer than ${SOCKET_PATH_LENGTH_MAX} bytes, the most a Unix socket's path can have`,
    )
  }
  const dataPathPort = Number(raw.dataPathPort)
  // Encrypted networks have the next port.
  if (!Number.isInteger(dataPathPort) || dataPathPort < 1 || dataPathPort >= PORT_MAX) {
    throw invalid(
      `invalid --data-path-port "${raw.dataPathPort}": a port number below ${PORT_MAX}, since encrypted networks take the next one`,
    )
  }
  const dockerHost = String(raw.dockerHost)
  if (dockerHost === `unix://${resolve(socket)}`) {
    throw invalid(
      `invalid --docker-host "${dockerHost}": that is this daemon's own socket, and it has to be the Docker Engine's`,
    )
  }
  return {
    dataDir: directory('--data-dir', raw.dataDir),
    runDir,
    socket,
    dockerHost,
    dataPlane: raw.dataPlane as DataPlaneChoice,
    dataPathPort,
    logLevel: String(raw.logLevel),
  }
}
