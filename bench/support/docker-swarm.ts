import type { LabHost } from '../../test/support/lab/host.ts'
import type { Lab } from '../../test/support/lab/lab.ts'
import { demand, MANAGERS, type Subject } from './subject.ts'

const PORT = 2377
const REQUEST_TIMEOUT_MS = 90_000

/** The Engines' own swarm mode, with its defaults. */
export class DockerSwarm implements Subject {
  readonly name = 'swarm'
  readonly #lab: Lab

  constructor(lab: Lab) {
    this.#lab = lab
  }

  async form(): Promise<void> {
    const [first, ...others] = this.#lab.hosts as [LabHost, ...LabHost[]]
    await this.#post(first, '/swarm/init', listening(first))
    const { JoinTokens } = (await demand(this, first, '/swarm')).json<{
      JoinTokens: { Manager: string; Worker: string }
    }>()
    for (const [index, host] of others.entries()) {
      const JoinToken = index + 1 < MANAGERS ? JoinTokens.Manager : JoinTokens.Worker
      const RemoteAddrs = [`${first.ip}:${PORT}`]
      await this.#post(host, '/swarm/join', { ...listening(host), RemoteAddrs, JoinToken })
    }
  }

  async disband(): Promise<void> {
    await Promise.all(
      this.#lab.hosts.map((host) =>
        host.engineRequest('/swarm/leave?force=1', {
          method: 'POST',
          timeoutMs: REQUEST_TIMEOUT_MS,
        }),
      ),
    )
  }

  api(host: LabHost, path: string, options: Parameters<LabHost['engineRequest']>[1] = {}) {
    return host.engineRequest(path, options)
  }

  killManager(host: LabHost): Promise<void> {
    return host.killEngine()
  }

  startManager(host: LabHost): Promise<void> {
    return host.startEngine()
  }

  reboot(host: LabHost): Promise<void> {
    return host.reboot()
  }

  #post(host: LabHost, path: string, body: object) {
    return demand(this, host, path, { body, timeoutMs: REQUEST_TIMEOUT_MS })
  }
}

const listening = (host: LabHost): object => ({
  ListenAddr: `${host.ip}:${PORT}`,
  AdvertiseAddr: host.ip,
})
