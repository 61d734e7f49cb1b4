import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'
import { promisify } from 'node:util'
import { precondition } from '../api/errors.ts'
import { syncDirectory, writeFileAtomic } from '../pki/atomic-file.ts'

/** Where systemd's presence shows (sd_booted(3)). */
const SYSTEMD_BOOTED = '/run/systemd/system'
const UNIT = 'swarmctl'
const UNIT_PATH = `/etc/systemd/system/${UNIT}.service`

/** The command line that runs this executable again; from source Node runs the script. */
const selfCommand = (): [string, ...string[]] =>
  isSea() ? [process.execPath] : [process.execPath, process.argv[1] as string]

/** As systemd.service(5) reads a command line: backslashes escape quotes and themselves; `$` and `%` are doubled. */
const quoted = (argument: string): string =>
  `"${argument.replace(/["\\]/g, '\\$&').replace(/[$%]/g, '$&$&')}"`

const unitText = (args: readonly string[]): string => `[Unit]
Description=swarmctl daemon
After=network-online.target docker.service
Wants=network-online.target

[Service]
ExecStart=${[...selfCommand(), 'daemon', ...args].map(quoted).join(' ')}
Restart=always
RestartSec=1
LimitNOFILE=1048576
KillMode=process

[Install]
WantedBy=multi-user.target
`

/** systemd, as far as one unit needs it. */
export interface Systemd {
  unitPath: string
  /** Rejects when the command fails. */
  systemctl(...args: string[]): Promise<unknown>
}

/**
 * Writes the unit and starts it. There is one: that of another daemon which runs must not be lost.
 * @throws SwarmctlError FAILED_PRECONDITION
 */
export const startUnit = async (args: readonly string[], { unitPath, systemctl }: Systemd) => {
  const text = unitText(args)
  const before = await readFile(unitPath, 'utf8').catch(() => text)
  const is = (state: 'active' | 'failed'): Promise<boolean> =>
    systemctl(`is-${state}`, '--quiet', UNIT).then(
      () => true,
      () => false,
    )
  if (before !== text && (await is('active'))) {
    throw precondition(
      `the systemd unit ${UNIT} runs another daemon of this machine: start this one yourself: swarmctl daemon ${args.join(' ')}`,
    )
  }
  // Durable before there is a membership that needs it: after a power cut the node would not come back by itself.
  await writeFileAtomic(unitPath, text, 0o644)
  await systemctl('daemon-reload')
  await systemctl('enable', '--now', UNIT)
  await syncDirectory(join(dirname(unitPath), 'multi-user.target.wants')).catch(() => {})
  // systemd starts it again a few times before it calls it failed.
  return {
    description: `systemd unit ${UNIT}, log: journalctl -u ${UNIT}`,
    hasEnded: () => is('failed'),
  }
}

/** The log of a daemon in the background, in its run directory. */
export const logFileIn = (runDir: string): string => join(runDir, 'daemon.log')

const startDetached = (args: readonly string[], runDir: string) => {
  // As the daemon makes it: group docker has to reach the socket in it.
  mkdirSync(runDir, { recursive: true, mode: 0o711 })
  const logFile = logFileIn(runDir)
  const log = openSync(logFile, 'a', 0o600)
  const [command, ...first] = selfCommand()
  const child = spawn(command, [...first, 'daemon', ...args], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  let isOver = false
  child.once('error', () => {
    isOver = true
  })
  child.once('exit', () => {
    isOver = true
  })
  child.unref()
  return { description: `log file ${logFile}`, hasEnded: async () => isOver }
}

/** Starts the daemon in the background: as a systemd unit where systemd runs, else detached from this terminal. */
export const launchDaemon = async (args: readonly string[], runDir: string) =>
  existsSync(SYSTEMD_BOOTED)
    ? startUnit(args, {
        unitPath: UNIT_PATH,
        systemctl: (...words) => promisify(execFile)('systemctl', words),
      })
    : startDetached(args, runDir)
