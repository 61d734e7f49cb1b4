/**
 * The image that lab services run, made from this machine's own files, since no registry need be reachable:
 * busybox, curl, and `image/serve` with the small Perl that every Debian has.
 *
 * `serve` answers HTTP on PORT (80), echoes lines on TCP_PORT (9001) and datagrams on UDP_PORT (9000).
 * Paths: `/` who answered and who asked, as JSON · `/health` 503 after `/fail` until `/heal` (the file
 * /tmp/unhealthy) · `/slow?seconds=20` a download that lasts · `/bytes?count=` · `/head` the request as it
 * came · `/body` · `/env` · `/file?path=` · `/log?text=&stream=stderr` · `/exit?code=` ·
 * `/burn?seconds=` CPU · `/memory?mib=`.
 * Environment: ON_TERM=exit (default), drain (finishes what it serves) or ignore · START_DELAY_SECONDS ·
 * FAIL_START=code exits at once · IPV6=1 listens to both families · PROXY_PROTOCOL=1 expects version 2 headers.
 */
import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { runCommand } from './command.ts'

/** Every tag of the test image; the layer is the same, the version in answers is the tag. */
export const TEST_IMAGE = 'swarmctl-test'

/** Per tag what its image configuration adds. `bad` exits at once; `health` checks itself each second. */
const TAGS = {
  '1': { env: ['VERSION=1'] },
  '2': { env: ['VERSION=2'] },
  '3': { env: ['VERSION=3'] },
  bad: { env: ['VERSION=bad', 'FAIL_START=1'] },
  health: {
    env: ['VERSION=health'],
    healthcheck: {
      Test: ['CMD-SHELL', 'test ! -e /tmp/unhealthy'],
      Interval: 1_000_000_000,
      Timeout: 2_000_000_000,
      Retries: 2,
    },
  },
} as const

const SERVE = join(import.meta.dirname, 'image/serve')
const CACHE_DIR = resolve(import.meta.dirname, '../../../node_modules/.cache/swarmctl')
const PROGRAMS = ['/usr/bin/perl', '/usr/bin/curl']
const BUSYBOX = '/bin/busybox'
/** Crashes in Debian's static build when it resolves a name. */
const APPLETS_LEFT_OUT = new Set(['busybox', 'wget'])
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Path of a `docker load` file with every tag of the image; made once per content and kept. */
export async function testImageFile(): Promise<string> {
  const file = join(CACHE_DIR, `test-image-${await contentKey()}.tar`)
  if (existsSync(file)) return file
  await mkdir(CACHE_DIR, { recursive: true })
  const work = await mkdtemp(join(tmpdir(), 'swl-image-'))
  try {
    await buildRoot(join(work, 'root'))
    await packImages(work)
    // Others may build it at the same time: whoever renames last wins, with the same content.
    const draft = `${file}.${process.pid}`
    await cp(join(work, 'images.tar'), draft)
    await rename(draft, file)
    return file
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Changes with the sources, and with the machine's own files by size and time. */
async function contentKey(): Promise<string> {
  const hash = createHash('sha256')
  for (const source of [SERVE, import.meta.filename]) hash.update(await readFile(source))
  for (const program of [...PROGRAMS, BUSYBOX]) {
    const { size, mtimeMs } = statSync(program)
    hash.update(`${program} ${size} ${mtimeMs}`)
  }
  return hash.digest('hex').slice(0, 16)
}

async function buildRoot(root: string): Promise<void> {
  for (const folder of ['bin', 'etc', 'dev', 'proc', 'sys', 'run', 'root', 'var', 'tmp']) {
    await mkdir(join(root, folder), { recursive: true })
  }
  await runCommand('chmod', ['1777', join(root, 'tmp')])
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
  )
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
  await cp(SERVE, join(root, 'serve'))
  await cp(BUSYBOX, join(root, 'bin/busybox'), { dereference: true })
  const applets = (await runCommand(BUSYBOX, ['--list'])).stdout.trim().split('\n')
  for (const applet of applets.filter((name) => !APPLETS_LEFT_OUT.has(name))) {
    await symlink('busybox', join(root, 'bin', applet))
  }
  for (const path of await programFiles()) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await cp(path, join(root, path), { dereference: true, recursive: true })
  }
}

/** The programs, the libraries they load and Perl's small module folder. */
async function programFiles(): Promise<string[]> {
  const paths = new Set(PROGRAMS)
  for (const program of PROGRAMS) {
    const listing = (await runCommand('ldd', [program])).stdout
    for (const match of listing.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)) paths.add(match[1]!)
  }
  const script = 'print grep { /perl-base/ && -d } @INC'
  paths.add((await runCommand('/usr/bin/perl', ['-e', script])).stdout.trim())
  return [...paths]
}

/** Writes `images.tar` in the form of `docker save`: one layer, one configuration per tag. */
async function packImages(work: string): Promise<void> {
  const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
  await runCommand('tar', [
    ...reproducible,
    '-cf',
    join(work, 'layer.tar'),
    '-C',
    `${work}/root`,
    '.',
  ])
  const digest = createHash('sha256')
    .update(await readFile(join(work, 'layer.tar')))
    .digest('hex')
  const manifest = []
  for (const [tag, settings] of Object.entries(TAGS)) {
    const config = JSON.stringify(imageConfig(settings, digest))
    const name = `${createHash('sha256').update(config).digest('hex')}.json`
    await writeFile(join(work, name), config)
    manifest.push({ Config: name, RepoTags: [`${TEST_IMAGE}:${tag}`], Layers: ['layer.tar'] })
  }
  await writeFile(join(work, 'manifest.json'), JSON.stringify(manifest))
  const files = ['manifest.json', 'layer.tar', ...manifest.map((entry) => entry.Config)]
  await runCommand('tar', [...reproducible, '-cf', join(work, 'images.tar'), '-C', work, ...files])
}

function imageConfig(settings: (typeof TAGS)[keyof typeof TAGS], layerDigest: string): object {
  return {
    architecture: ARCHITECTURES[process.arch],
    os: 'linux',
    created: '2025-01-01T00:00:00Z',
    config: {
      Env: ['PATH=/usr/bin:/bin', ...settings.env],
      Cmd: ['/serve'],
      ExposedPorts: { '80/tcp': {} },
      ...('healthcheck' in settings ? { Healthcheck: settings.healthcheck } : {}),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layerDigest}`] },
    history: [{ created: '2025-01-01T00:00:00Z', created_by: 'lab test image' }],
  }
}
