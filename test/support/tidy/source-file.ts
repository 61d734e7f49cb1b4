/** The project's own files as text, and the imports in them. */
import { globSync, readFileSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../../..')

/** One TypeScript file; its path starts at the root: `src/raft/core.ts`. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  /** Without comments, so that a rule is about what runs. */
  readonly code: string
  /** As written: `./log.ts`, `node:fs`, `level`. */
  readonly imports: readonly string[]
}

const IMPORTS = [
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'/gm,
  /^\s*import\s+'([^']+)'/gm,
  /\bimport\('([^']+)'\)/g,
]

/** Files that match, sorted by path. */
export function sourceFiles(...patterns: string[]): SourceFile[] {
  return globSync(patterns, { cwd: ROOT })
    .sort()
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      const code = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
      const imports = IMPORTS.flatMap((pattern) =>
        [...code.matchAll(pattern)].map((match) => match[1]!),
      )
      return { path, text, code, imports }
    })
}

/** The file that a relative import names; undefined for a package or a part of Node. */
export function target(from: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(from.path), specifier)
}
