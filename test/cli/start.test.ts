/** What a command loads before it runs: schemas, parsers and drawing cost more than all else, and most commands need none. */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'

const CLI = join(import.meta.dirname, '../../src/cli')

/** Read files, and check them by schemas. */
const READ_FILES = new Set(['stack/command.ts', 'apply/apply.ts'])
/** The modules that `command-groups.ts` loads, of commands that only ask the daemon. */
const MODULES = globSync(
  ['*/command.ts', 'task/{exec,cp}.ts', 'events.ts', 'version.ts', 'daemon/run.ts'],
  { cwd: CLI },
).filter((path) => !READ_FILES.has(path))

/** Of these packages those that are loaded with a module, not later by a part of a command. */
const packagesOf = async (path: string): Promise<Set<string>> => {
  const { metafile } = await build({
    entryPoints: [join(CLI, path)],
    ...{ bundle: true, write: false, metafile: true },
    ...{ platform: 'node', format: 'esm', logLevel: 'silent' },
  })
  const loaded = new Set(Object.values(metafile.outputs).map(({ entryPoint }) => entryPoint ?? ''))
  // A set gives what is added to it while it is gone through.
  for (const input of loaded) {
    for (const { path, kind } of metafile.inputs[input]?.imports ?? []) {
      if (kind !== 'dynamic-import') loaded.add(path)
    }
  }
  const named = [...loaded].map((input) => /node_modules\/(zod|yaml|log-update)\//.exec(input))
  return new Set(named.flatMap((match) => match?.[1] ?? []))
}

t.test('commands that ask the daemon load neither schemas, YAML nor what draws', async (t) => {
  t.ok(MODULES.length >= 13, MODULES.join(', '))
  for (const path of MODULES) t.strictSame(await packagesOf(path), new Set(), path)
  t.strictSame(await packagesOf('stack/command.ts'), new Set(['yaml', 'zod']), 'it would be seen')
})
