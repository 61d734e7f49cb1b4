/**
 * Builds `dist/swarmctl`: one executable that carries its Node, the bundled sources and the store's native
 * addon. `npm run build`; does nothing when no input has changed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { ADDON_ASSET, addonLoader, OPTIONAL_NATIVE } from './addon-loader.ts'

const ROOT = resolve(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')
const EXECUTABLE = join(DIST, 'swarmctl')
const STAMP = join(DIST, 'swarmctl.inputs')
/** Whatever changes the executable. */
const INPUTS = [
  'bin/**/*.ts',
  'src/**/*',
  'scripts/build.ts',
  'scripts/addon-loader.ts',
  'package.json',
]
/** Published by Node: the marker by which an executable knows that it carries an application. */
const SEA_FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

await main(resolve(process.argv[2] ?? join(ROOT, 'bin/swarmctl.ts')))

async function main(entry: string): Promise<void> {
  const inputs = inputsHash(entry)
  if (existsSync(EXECUTABLE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === inputs) {
    say('dist/swarmctl is up to date')
    return
  }
  mkdirSync(DIST, { recursive: true })
  // Its own folder, and a rename at the end: others may build or run the executable at the same time.
  const work = mkdtempSync(join(DIST, 'build-'))
  try {
    await bundle(entry, join(work, 'swarmctl.cjs'))
    makeExecutable(work)
    renameSync(join(work, 'swarmctl'), EXECUTABLE)
    writeFileSync(STAMP, inputs)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  say(`dist/swarmctl ${version()}`)
}

/** Changes with every file that goes in, and with the Node that is carried. */
function inputsHash(entry: string): string {
  const hash = createHash('sha256').update(`${process.version} ${process.arch} ${entry}`)
  const files = globSync(INPUTS, { cwd: ROOT, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
  for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

/** One CommonJS file, since an executable's main script cannot be a module yet. */
async function bundle(entry: string, outfile: string): Promise<void> {
  const { outputFiles, warnings } = await build({
    entryPoints: [entry],
    write: false,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    // Loading a file is not possible there; what the bundle imports lazily is in it.
    supported: { 'dynamic-import': false },
    define: { 'process.env.SWARMCTL_VERSION': JSON.stringify(version()) },
    external: OPTIONAL_NATIVE,
    loader: { '.node': 'empty' },
    plugins: [addonLoader],
    logLevel: 'warning',
    legalComments: 'none',
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error('there is no bundle')
  writeFileSync(outfile, inSingleBytes(file.text))
  // In the bundle `import.meta` is empty: what relies on it would fail only at run time.
  const broken = warnings.filter((warning) => warning.id === 'empty-import-meta')
  if (broken.length > 0) throw new Error('the sources use import.meta, which the bundle has not')
}

/**
 * V8 reads such a source faster and keeps it in half the memory. esbuild escapes what stands in strings; the rest is in comments and
 * regular expressions, which know the same escape.
 */
function inSingleBytes(source: string): string {
  return source.replace(/[^\0-\x7f]/g, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Puts the bundle and the addon into a copy of this Node. */
function makeExecutable(work: string): void {
  const addonFolder = join(ROOT, 'node_modules/classic-level/prebuilds', `linux-${process.arch}`)
  const config = {
    main: join(work, 'swarmctl.cjs'),
    output: join(work, 'application.blob'),
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    // A manager's garbage is messages and commands of a moment: with room for more of them far less is looked at twice. And up to "--"
    // Node looks for options of its own among all arguments, also among those of a container (`node --env-file`).
    execArgv: ['--min-semi-space-size=32', '--max-semi-space-size=32', '--'],
    // An application's NODE_OPTIONS, in a shell or an env file, are not for this program either.
    execArgvExtension: 'none',
    assets: { [ADDON_ASSET]: join(addonFolder, 'classic-level.node') },
  }
  writeFileSync(join(work, 'sea.json'), JSON.stringify(config))
  run(process.execPath, ['--experimental-sea-config', join(work, 'sea.json')])
  copyFileSync(process.execPath, join(work, 'swarmctl'))
  chmodSync(join(work, 'swarmctl'), 0o755)
  const fuse = ['--sentinel-fuse', SEA_FUSE]
  const blob = ['NODE_SEA_BLOB', join(work, 'application.blob')]
  run(join(ROOT, 'node_modules/.bin/postject'), [join(work, 'swarmctl'), ...blob, ...fuse])
}

function version(): string {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version
}

/** Shows what the program said only when it fails: postject warns about sections that nobody reads. */
function run(file: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}:\n${stdout}\n${stderr}`)
}

function say(text: string): void {
  process.stdout.write(`build: ${text}\n`)
}
