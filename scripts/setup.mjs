/**
 * Makes a checkout ready: `npm run setup` installs the dependencies, `--lab` also the Debian packages that the
 * lab's hosts need, `--bench` the peer that a benchmark compares with. Runs before anything is installed,
 * so it is plain JavaScript for Node 20. Quick when there is nothing to do.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
const APT_ATTEMPTS_MAX = 3
const APT_PAUSE_MS = 5000
/** Debian asks it whether a package may start its service. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d'

/** Command, or file, to look for → Debian package that has it. */
const LAB_PACKAGES = {
  dockerd: 'docker.io',
  docker: 'docker.io',
  nft: 'nftables',
  iptables: 'iptables',
  ip: 'iproute2',
  conntrack: 'conntrack',
  busybox: 'busybox-static',
  openssl: 'openssl',
  curl: 'curl',
  perl: 'perl-base',
  nsenter: 'util-linux',
  ldd: 'libc-bin',
  // Shells whose completion has to work, and a terminal for them.
  zsh: 'zsh',
  fish: 'fish',
  script: 'bsdutils',
  // Other clients of the API that have to work unchanged.
  'ansible-playbook': 'ansible',
  prometheus: 'prometheus',
  '/usr/lib/python3/dist-packages/docker/__init__.py': 'python3-docker',
}
/** Where the kernel has AppArmor, an Engine starts no container without its tool. */
const APPARMOR_PACKAGES = isAppArmorOn() ? { apparmor_parser: 'apparmor' } : {}
const BENCH_PACKAGES = { etcd: 'etcd-server' }

const wanted = new Set(process.argv.slice(2))
const unknown = [...wanted].filter((flag) => flag !== '--lab' && flag !== '--bench')
if (unknown.length > 0) fail(`unknown flag ${unknown.join(' ')}; known: --lab --bench`)
installDependencies()
const packages = {
  ...(wanted.has('--lab') ? { ...LAB_PACKAGES, ...APPARMOR_PACKAGES } : {}),
  ...(wanted.has('--bench') ? BENCH_PACKAGES : {}),
}
installPackages(packages)

function installDependencies() {
  const reason = whyDependenciesAreStale()
  if (reason === undefined) return
  say(`npm ci (${reason})`)
  // No dependency needs its install script here: they would only compile what is shipped compiled.
  // Its warnings are about the machine's Node, which is not the one that runs what is installed.
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync('npm', ['ci', ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) fail('npm ci failed: see above')
}

/** Compares contents, since a checkout changes the lockfile's time without changing what it says. */
function whyDependenciesAreStale() {
  const installed = packagesOf(join(ROOT, 'node_modules/.package-lock.json'))
  if (installed === undefined) return 'nothing is installed yet'
  const locked = packagesOf(join(ROOT, 'package-lock.json'))
  if (locked === undefined) fail('package-lock.json is missing: this is not a checkout of swarmctl')
  for (const [path, { version, optional }] of Object.entries(locked)) {
    if (path === '') continue
    const found = installed[path]?.version
    // An optional package may be left out on this platform.
    if (found === undefined && optional === true) continue
    if (found !== version) return `${path} is ${found ?? 'missing'}, locked is ${version}`
  }
  return undefined
}

function packagesOf(lockFile) {
  if (!existsSync(lockFile)) return undefined
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages
}

function installPackages(packageOf) {
  const missing = Object.entries(packageOf).filter(([command]) => !isAvailable(command))
  if (missing.length === 0) return
  const names = [...new Set(missing.map(([, name]) => name))]
  const commands = missing.map(([command]) => command).join(', ')
  if (process.platform !== 'linux') fail(`the lab needs Linux; missing here: ${commands}`)
  if (process.getuid() !== 0) {
    fail(`missing: ${commands}. As root: apt-get install ${names.join(' ')}`)
  }
  if (!isAvailable('apt-get')) {
    fail(`missing: ${commands}, and there is no apt-get here: install ${names.join(', ')} yourself`)
  }
  say(`apt-get install ${names.join(' ')}`)
  apt(['update', '-q'])
  withoutStartingServices(() => apt(['install', '-qy', '--no-install-recommends', ...names]))
  const left = missing.map(([command]) => command).filter((command) => !isAvailable(command))
  if (left.length > 0) fail(`still missing after apt-get: ${left.join(', ')}`)
}

/** The lab starts what it needs itself; an Engine of the machine's own would change its firewall. */
function withoutStartingServices(install) {
  if (existsSync(SERVICE_POLICY)) return install()
  writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  process.once('exit', () => rmSync(SERVICE_POLICY, { force: true }))
  install()
  rmSync(SERVICE_POLICY, { force: true })
}

/** Mirrors fail for moments: a few attempts before giving up. */
function apt(args) {
  for (let attempt = 1; ; attempt += 1) {
    const { status, stdout, stderr } = spawnSync('apt-get', args, {
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    if (status === 0) return
    if (attempt === APT_ATTEMPTS_MAX) fail(`apt-get ${args.join(' ')}:\n${stdout}\n${stderr}`)
    say(`apt-get ${args[0]} failed, trying again`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, APT_PAUSE_MS)
  }
}

function isAvailable(command) {
  if (command === 'busybox') return isStaticBusybox()
  if (command.startsWith('/')) return existsSync(command)
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => existsSync(join(folder, command)))
}

function isAppArmorOn() {
  const file = '/sys/module/apparmor/parameters/enabled'
  return existsSync(file) && readFileSync(file, 'utf8').startsWith('Y')
}

/** It becomes a container's only program, so it must not need libraries. */
function isStaticBusybox() {
  if (!existsSync('/bin/busybox')) return false
  return spawnSync('ldd', ['/bin/busybox']).status !== 0
}

function say(text) {
  process.stdout.write(`setup: ${text}\n`)
}

function fail(text) {
  process.stderr.write(`setup: ${text}\n`)
  process.exit(1)
}
