import { readFile } from 'node:fs/promises'
import { SwarmctlError } from '../../api/errors.ts'
import { parseEnvFile } from '../../stack/parse/env-file.ts'
import type { CliContext } from '../context.ts'
import { parsed } from './flag-values.ts'

/** `KEY` alone takes its value from this environment, and is dropped when that has none. */
export const withEnvironment = (entries: readonly string[], env: NodeJS.ProcessEnv): string[] =>
  entries.flatMap((entry) => {
    if (entry.includes('=')) return [entry]
    return env[entry] === undefined ? [] : [`${entry}=${env[entry]}`]
  })

/** The variables of `--env-file` flags, later files over earlier ones. */
export const environmentFiles = async (
  context: CliContext,
  files: readonly string[],
): Promise<string[]> => {
  const variables = new Map<string, string>()
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: Error) => {
      throw new SwarmctlError('INVALID_ARGUMENT', `can't read --env-file ${file}: ${error.message}`)
    })
    const found = parsed('--env-file', file, () => parseEnvFile(text, (name) => context.env[name]))
    for (const [key, value] of found) variables.set(key, value)
  }
  return [...variables].map(([key, value]) => `${key}=${value}`)
}
