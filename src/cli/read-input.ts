import { readFile } from 'node:fs/promises'
import { SwarmctlError } from '../api/errors.ts'
import type { CliContext } from './context.ts'

/** A file's bytes, or standard input's for `-`. */
export const readInput = async (context: CliContext, path: string): Promise<Buffer> => {
  if (path === '-') return context.readStdin()
  try {
    return await readFile(path)
  } catch (error) {
    throw new SwarmctlError('INVALID_ARGUMENT', `can't read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
