/**
 * Rules about the sources themselves. The linter has the rest: function length, import cycles, default exports,
 * floating promises.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import {
  HARMLESS,
  MAY_IMPORT,
  MAY_TELL_TIME,
  PURE,
  RAFT_WITH_IO,
  TIME_OR_CHANCE,
} from './support/tidy/import-rules.ts'
import { ROOT, type SourceFile, sourceFiles, target } from './support/tidy/source-file.ts'

const FILE_LINES_MAX = 500
/** Ports' in-memory twins: only tests and simulations run them. */
const TEST_ONLY = /\/memory(?:-[^/]+)?\.ts$/

const shipped = sourceFiles('bin/**/*.ts', 'src/**/*.ts')
const all = [...shipped, ...sourceFiles('{test,scripts,bench,compat}/**/*.ts')]

/** Fails once per file that breaks a rule, naming what it does. */
function noneOf(t: Test, rule: string, broken: readonly string[]): void {
  t.strictSame(broken, [], rule)
}

t.test('files are short, named for what they hold, and finished', async (t) => {
  const long = all.filter((file) => file.text.split('\n').length > FILE_LINES_MAX + 1)
  noneOf(t, `at most ${FILE_LINES_MAX} lines`, paths(long))
  const vague = all.filter((file) => /(?:^|[/-])(?:utils?|helpers?|misc|common)\b/.test(file.path))
  noneOf(t, 'no utils, helpers, misc or common', paths(vague))
  const named = all.filter((file) => !/^[a-z0-9-]+(?:\.test)?\.ts$/.test(basename(file.path)))
  noneOf(t, 'kebab-case', paths(named))
  const barrels = shipped.filter((file) => /(?:^|\n)export \* from/.test(file.code))
  noneOf(t, 'no barrel files', paths(barrels))
  const defaults = all.filter((file) => /^export default\b/m.test(file.code))
  noneOf(t, 'no default exports', paths(defaults))
  const open = shipped.filter((file) =>
    /\b(?:TODO|FIXME|XXX|HACK)\b|not (?:yet )?implemented/i.test(file.text),
  )
  noneOf(t, 'nothing left to do', paths(open))
})

t.test('tests are neither skipped nor singled out', async (t) => {
  const tests = all.filter((file) => file.path.endsWith('.test.ts'))
  const partial = tests.filter((file) => /\bt\.(?:only|skip|todo)\(|\bonly: true/.test(file.code))
  noneOf(t, 'every test runs', paths(partial))
})

t.test('imports go where the design lets them', async (t) => {
  const wrong = shipped.flatMap((file) => {
    const folder = /^src\/([^/]+)\//.exec(file.path)?.[1]
    if (folder === undefined) return []
    const allowed = [...(MAY_IMPORT[folder] ?? []), `src/${folder}/`]
    return targets(file)
      .filter((path) => !allowed.some((prefix) => path.startsWith(prefix)))
      .map((path) => `${file.path} imports ${path}`)
  })
  noneOf(t, 'import rules', wrong)
  const folders = new Set(shipped.map((file) => /^src\/([^/]+)\//.exec(file.path)?.[1]))
  folders.delete(undefined)
  const unknown = [...folders].filter((folder) => !(folder! in MAY_IMPORT))
  noneOf(t, 'every folder has its rule', unknown as string[])
})

t.test('what decides is pure', async (t) => {
  const impure = shipped
    .filter((file) => !MAY_TELL_TIME.test(file.path) && TIME_OR_CHANCE.test(file.code))
    .map((file) => `${file.path} uses ${TIME_OR_CHANCE.exec(file.code)?.[0]}`)
  noneOf(t, 'clock, timers and chance are injected', impure)
  const pure = sourceFiles(...PURE).filter((file) => !RAFT_WITH_IO.test(file.path))
  const withNode = pure.flatMap((file) => {
    const harmless = file.path.startsWith('src/raft/') ? new Set<string>() : HARMLESS
    return file.imports
      .filter((name) => name.startsWith('node:') && !harmless.has(name))
      .map((name) => `${file.path} imports ${name}`)
  })
  noneOf(t, 'no part of Node that reaches outside', withNode)
  const raft = pure.filter((file) => file.path.startsWith('src/raft/'))
  const packages = raft.flatMap((file) =>
    file.imports.filter((name) => !name.startsWith('.')).map((name) => `${file.path}: ${name}`),
  )
  noneOf(t, 'consensus needs no package', packages)
  t.ok(raft.length > 5, 'the pure files of raft were found')
})

t.test('every file is reachable from the executable', async (t) => {
  const byPath = new Map(shipped.map((file) => [file.path, file]))
  const reached = new Set<string>()
  const queue = shipped.filter((file) => file.path.startsWith('bin/'))
  t.ok(queue.length > 0, 'bin has an entry')
  for (const file of queue) {
    if (reached.has(file.path)) continue
    reached.add(file.path)
    queue.push(...targets(file).flatMap((path) => byPath.get(path) ?? []))
  }
  const dead = shipped.filter((file) => !reached.has(file.path) && !TEST_ONLY.test(file.path))
  noneOf(t, 'no dead files', paths(dead))
})

t.test('every import and every link in the documents resolves', async (t) => {
  const missing = all.flatMap((file) =>
    targets(file)
      .filter((path) => !existsSync(join(ROOT, path)))
      .map((path) => `${file.path} imports ${path}`),
  )
  noneOf(t, 'imports', missing)
  const documents = globSync(['*.md', '{docs,examples,bench,compat}/**/*.md'], { cwd: ROOT })
  noneOf(t, 'links', documents.flatMap(brokenLinks))
})

function paths(files: readonly SourceFile[]): string[] {
  return files.map((file) => file.path)
}

function targets(file: SourceFile): string[] {
  return file.imports.flatMap((specifier) => target(file, specifier) ?? [])
}

/** Relative links of a document that name no file, or no heading of it. */
function brokenLinks(document: string): string[] {
  const text = withoutCode(readFileSync(join(ROOT, document), 'utf8'))
  return [...text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
    .map((match) => match[1]!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path, anchor] = link.split('#') as [string, string?]
      const file = path === '' ? join(ROOT, document) : join(ROOT, dirname(document), path)
      if (!existsSync(file)) return true
      return anchor !== undefined && file.endsWith('.md') && !anchors(file).has(anchor)
    })
    .map((link) => `${document}: ${link}`)
}

function anchors(file: string): Set<string> {
  const headings = withoutCode(readFileSync(file, 'utf8')).matchAll(/^#+\s+(.+)$/gm)
  return new Set([...headings].map((match) => slug(match[1]!)))
}

/** As GitHub makes a heading's anchor. */
function slug(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-')
}

/** Fenced blocks show other files' text; what looks like a link there is none. */
function withoutCode(markdown: string): string {
  return markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, '')
}
