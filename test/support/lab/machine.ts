/**
 * A machine of the lab: its own network, mount, UTS and pid namespaces, joined to the lab's bridge. Its first
 * process ends when this process does (its standard input closes), and everything on it ends with that.
 */
import assert from 'node:assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BackgroundProcess, startInBackground } from './background-process.ts'
import { type CommandOptions, type CommandResult, runCommand } from './command.ts'
import { bridgeName, labDir, linkName, macAddress, type Slot } from './names.ts'
import { childrenOf } from './process-table.ts'
import { removeNamespace } from './remains.ts'

const SUBNET_BITS = 24
const EXEC_TIMEOUT_MS = 60_000
/** A command that overran is ended inside its pid namespace this much later than it is given up outside. */
const EXEC_KILL_DELAY_MS = 1000

/**
 * Runs as the machine's first process. An own /run keeps containerd, runc and the Engine apart from everybody
 * else's; an own /sys shows the machine's own interfaces; handles on other namespaces would keep them alive.
 */
const FIRST_PROCESS = `
hostname "$1"
while read -r _ path _; do
  case $path in /run/netns*) umount -l "$path" 2>/dev/null || true ;; esac
done < /proc/self/mounts
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
echo ready
exec perl -e '$SIG{CHLD} = "IGNORE"; $SIG{$_} = "IGNORE" for qw(INT TERM HUP); 1 while sysread STDIN, my $byte, 1' >/dev/null 2>&1
`

/** What identifies a machine within its lab. */
export interface MachineIdentity {
  readonly slot: Slot
  /** Host name, and the last part of every name it takes: `h1`. */
  readonly name: string
  readonly ip: string
}

/** Without an Engine it is a client; {@link LabHost} adds the Engine and the daemon. */
export class LabMachine {
  readonly name: string
  readonly ip: string
  /** Name for `ip netns`; also the name of its link's end on the lab's bridge. */
  readonly netns: string
  /** Its folder, the same path inside and outside; survives a reboot. */
  readonly dir: string
  readonly #slot: Slot
  #first: { readonly child: ChildProcess; readonly pid: number } | undefined
  #logCount = 0

  constructor(identity: MachineIdentity) {
    this.name = identity.name
    this.ip = identity.ip
    this.#slot = identity.slot
    this.netns = linkName(identity.slot, identity.name)
    this.dir = join(labDir(identity.slot), identity.name)
  }

  /** Whether it has been switched on and not died since. */
  get isOn(): boolean {
    return this.#first !== undefined
  }

  /** Pid of the machine's first process, as the lab's creator sees it. Its namespaces are the machine's. */
  get firstPid(): number {
    assert(this.#first !== undefined, `${this.name} is switched off`)
    return this.#first.pid
  }

  /** Makes the namespaces and the link, and starts the first process. */
  async switchOn(): Promise<void> {
    assert(this.#first === undefined, `${this.name} is on already`)
    mkdirSync(this.dir, { recursive: true })
    await this.#connect()
    const child = spawn('nsenter', [...this.#firstProcessArgs(), FIRST_PROCESS, 'sh', this.name], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    if (String(said).trim() !== 'ready') throw new Error(`${this.name} did not start: ${errors}`)
    child.stdout.destroy()
    child.stderr.destroy()
    // The pipe stays open as long as this process lives, but does not keep it alive.
    ;(child.stdin as unknown as { unref(): void }).unref()
    child.unref()
    const pid = childrenOf(child.pid ?? 0)[0]
    assert(pid !== undefined, 'the first process has just answered')
    this.#first = { child, pid }
  }

  /** Ends every process on it at once, containers too, and takes its interfaces, rules and mounts. */
  switchOff(): void {
    this.forget()
    removeNamespace(this.netns)
  }

  /** Notes that the machine is gone, when somebody else removed it. */
  forget(): void {
    this.#first = undefined
  }

  /** Runs a command on the machine. Its folder is not the current one: give absolute paths. */
  exec(
    file: string,
    args: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    const { cwd, ...others } = options
    const timeoutMs = options.timeoutMs ?? EXEC_TIMEOUT_MS
    const limitSeconds = (timeoutMs + EXEC_KILL_DELAY_MS) / 1000
    const [entrance, ...entranceArgs] = this.entrance()
    assert(entrance !== undefined)
    const folder = cwd === undefined ? [] : ['env', '-C', cwd]
    const limit = ['timeout', '-s', 'KILL', String(limitSeconds)]
    return runCommand(entrance, [...entranceArgs, ...limit, ...folder, file, ...args], {
      ...others,
      timeoutMs,
    })
  }

  /** Starts a program that goes on in the background; its log is in the machine's folder. */
  spawn(
    args: readonly string[],
    options: { readonly logName?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<BackgroundProcess> {
    this.#logCount += 1
    const logFile = join(this.dir, `${options.logName ?? `process-${this.#logCount}`}.log`)
    return startInBackground(this.entrance(), args, logFile, options.env)
  }

  /** The command line that puts a program on the machine, for a caller's own spawn. */
  entrance(): string[] {
    return ['nsenter', '-t', String(this.firstPid), '-n', '-m', '-u', '-p', '--']
  }

  /** Unplugs the cable. */
  async cutLink(): Promise<void> {
    await runCommand('ip', ['link', 'set', this.netns, 'down'])
  }

  /** Plugs the cable in again. */
  async healLink(): Promise<void> {
    await runCommand('ip', ['link', 'set', this.netns, 'up'])
  }

  async #connect(): Promise<void> {
    const [ns, ip] = [this.netns, (...args: string[]) => runCommand('ip', args)]
    await ip('netns', 'add', ns)
    const peer = ['name', 'eth0', 'address', macAddress(this.ip), 'netns', ns]
    await ip('link', 'add', ns, 'type', 'veth', 'peer', ...peer)
    await ip('link', 'set', ns, 'master', bridgeName(this.#slot), 'up')
    const batch = [
      `addr add ${this.ip}/${SUBNET_BITS} dev eth0`,
      'link set lo up',
      'link set eth0 up',
      // One that swallows packets would let every image look-up wait for a DNS time-out.
      'route add unreachable default',
    ]
    await runCommand('ip', ['-n', ns, '-batch', '-'], { input: batch.join('\n') })
  }

  #firstProcessArgs(): string[] {
    const namespaces = ['--kill-child', '--fork', '--pid', '--mount-proc', '--uts', '--mount']
    return [
      `--net=/run/netns/${this.netns}`,
      'unshare',
      ...namespaces,
      '--propagation',
      'private',
      'sh',
      '-euc',
    ]
  }
}
