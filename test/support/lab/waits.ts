import type { Test } from 'tap'
import type { Task } from '../../../src/api/task.ts'
import { execInTask, inspectTask, untilRunning } from './api.ts'
import { eventually } from './eventually.ts'
import type { LabHost } from './host.ts'
import type { LabMachine } from './machine.ts'

/** Waits of lab tests for what the CLI on one manager says. */

const TIMEOUT_MS = 60_000
const COMMAND = { check: false, timeoutMs: 120_000 } as const

/** `service ps` of the service matches; what it says. */
export const untilPs = (at: LabHost, service: string, words: RegExp): Promise<string> =>
  eventually(
    async () => {
      const { stdout } = await at.swarmctl(['service', 'ps', '--no-trunc', service], COMMAND)
      if (!words.test(stdout)) throw new Error(stdout)
      return stdout
    },
    { what: `service ps ${service} says ${words}`, timeoutMs: TIMEOUT_MS },
  )

/** The host's line of `node ls`. */
export const nodeLine = async (at: LabHost, host: LabHost): Promise<string> =>
  (await at.swarmctl(['node', 'ls'], COMMAND)).stdout
    .split('\n')
    .find((line) => line.includes(host.name)) ?? ''

/** The host's line of `node ls` matches; the line. */
export const untilNodeLine = (at: LabHost, host: LabHost, words: RegExp): Promise<string> =>
  eventually(
    async () => {
      const line = await nodeLine(at, host)
      if (!words.test(line)) throw new Error(line)
      return line
    },
    { what: `node ls says of ${host.name}: ${words}`, timeoutMs: TIMEOUT_MS },
  )

/** So many tasks of the service run, as the Engines see it too. */
export const untilContainers = (
  at: LabHost,
  hosts: readonly LabHost[],
  service: string,
  count: number,
): Promise<Task[]> =>
  eventually(
    async () => {
      const tasks = await untilRunning(at, service, count)
      const found = await Promise.all(tasks.map((task) => inspectTask(hosts, task)))
      return found.every(({ container }) => container.State?.Running) && tasks
    },
    { what: `${count} containers of ${service}`, timeoutMs: TIMEOUT_MS },
  )

/**
 * What a URL says from a machine, once it matches: a task that runs is known to its manager some moments before the tables of every
 * node have it, and one that publishes no port before it listens.
 */
export const untilAnswers = (from: LabMachine, url: string, words: RegExp): Promise<string> =>
  eventually(
    async () => {
      const { stdout } = await from.exec('curl', ['-sS', '-m', '10', url])
      if (!words.test(stdout)) throw new Error(stdout)
      return stdout
    },
    { what: `${url} from ${from.name} says ${words}`, timeoutMs: TIMEOUT_MS },
  )

/** The same from a task's container. */
export const untilAnswersInTask = (
  hosts: readonly LabHost[],
  task: Task,
  url: string,
  words: RegExp,
): Promise<string> =>
  eventually(
    async () => {
      const { stdout } = await execInTask(hosts, task, ['curl', '-sS', '-m', '10', url])
      if (!words.test(stdout)) throw new Error(stdout)
      return stdout
    },
    { what: `${url} from a task of ${task.Swarmctl.ServiceName}`, timeoutMs: TIMEOUT_MS },
  )

/** Every daemon is the one that was started, and runs. */
export const daemonsLive = (t: Test, pids: ReadonlyMap<LabHost, number | undefined>): void => {
  for (const [host, pid] of pids) {
    t.ok(host.daemon?.isRunning, `the daemon of ${host.name} runs`)
    t.equal(host.daemon?.pid, pid, 'and is the one that was started')
  }
}
