import { chmodSync } from 'node:fs'

/** A user id that owns nothing. */
const NOBODY = 65_534

/** Runs as a user for whom the directory or socket is closed: root may use everything. */
export const asNobody = async <T>(path: string, run: () => Promise<T>): Promise<T> => {
  chmodSync(path, 0o000)
  const wasRoot = process.geteuid?.() === 0
  if (wasRoot) process.seteuid?.(NOBODY)
  try {
    return await run()
  } finally {
    if (wasRoot) process.seteuid?.(0)
    chmodSync(path, 0o700)
  }
}
