import { readdir, readFile, writeFile } from 'node:fs/promises'

/** Files of /proc, in the daemon's own network namespace. */
export interface Proc {
  /** The text, or null when the file does not exist (or its process ended). */
  read(path: string): Promise<string | null>
  /** Writes a setting. Rejects when the kernel refuses. */
  write(path: string, text: string): Promise<void>
  /** Names in a folder; none when it does not exist. */
  list(path: string): Promise<string[]>
}

/** The real one. */
export class HostProc implements Proc {
  read(path: string): Promise<string | null> {
    return readFile(path, 'utf8').catch(() => null)
  }

  write(path: string, text: string): Promise<void> {
    return writeFile(path, text)
  }

  list(path: string): Promise<string[]> {
    return readdir(path).catch(() => [])
  }
}

/** `net.ipv4.conf.sw-br1.proxy_arp` as parts, since device names may contain dots. */
export const sysctlPath = (...parts: string[]): string => `/proc/sys/${parts.join('/')}`

/** Sets a kernel setting when it differs. */
export const setSysctl = async (proc: Proc, path: string, value: string): Promise<void> => {
  const current = await proc.read(path)
  if (current?.trim() !== value) await proc.write(path, value)
}
