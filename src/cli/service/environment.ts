import { readFile } from 'node:fs/promises'
import { SwarmctlError } from '../../api/errors.ts'
import { parseEnvFile } from '../../stack/parse/env-file.ts'
import { decodeText } from '../../stack/source/stack-files.ts'
import type { CliContext } from '../context.ts'

/** `KEY` alone takes its value from this environment. Where that has none it stays: the Engine takes the image's own away then. */
export const withEnvironment = (entries: readonly string[], env: NodeJS.ProcessEnv): string[] =>
  entries.map((entry) =>
    entry.includes('=') || env[entry] === undefined ? entry : `${entry}=${env[entry]}`,
  )

const read = (file: string, bytes: Uint8Array, env: NodeJS.ProcessEnv): Map<string, string> => {
  try {
    return parseEnvFile(decodeText(bytes), (name) => env[name])
  } catch (error) {
    const { message } = error as Error
    throw new SwarmctlError('INVALID_ARGUMENT', `invalid --env-file ${file}: ${message}`)
  }
}

/** The variables of `--env-file` flags, later files over earlier ones. */
export const environmentFiles = async (
  context: CliContext,
  files: readonly string[],
): Promise<string[]> => {
  const variables = new Map<string, string>()
  for (const file of files) {
    const bytes = await readFile(file).catch((error: Error) => {
      throw new SwarmctlError('INVALID_ARGUMENT', `can't read --env-file ${file}: ${error.message}`)
    })
    for (const [key, value] of read(file, bytes, context.env)) variables.set(key, value)
  }
  return [...variables].map(([key, value]) => `${key}=${value}`)
}
