import { rmSync } from 'node:fs'
import { formCluster } from '../../test/support/lab/cluster.ts'
import type { LabHost } from '../../test/support/lab/host.ts'
import type { Lab } from '../../test/support/lab/lab.ts'
import { MANAGERS, type Subject } from './subject.ts'

const LEAVE_TIMEOUT_MS = 90_000

/** The built executable on each host, with its defaults. */
export class Swarmctl implements Subject {
  readonly name = 'swarmctl'
  readonly #lab: Lab

  constructor(lab: Lab) {
    this.#lab = lab
  }

  async form(): Promise<void> {
    await formCluster(this.#lab, { managers: MANAGERS })
  }

  async disband(): Promise<void> {
    const hosts = this.#lab.hosts.filter((host) => host.isOn)
    await Promise.all(
      hosts.map((host) =>
        host.swarmctl(['leave', '--force'], { check: false, timeoutMs: LEAVE_TIMEOUT_MS }),
      ),
    )
    await Promise.all(hosts.map((host) => host.stopDaemon()))
    for (const host of hosts) {
      rmSync(host.dataDir, { recursive: true, force: true })
      rmSync(host.swarmctlSocket, { force: true })
    }
  }

  api(host: LabHost, path: string, options: Parameters<LabHost['apiRequest']>[1] = {}) {
    return host.apiRequest(path, options)
  }

  killManager(host: LabHost): Promise<void> {
    return host.kill9Daemon()
  }

  async startManager(host: LabHost): Promise<void> {
    await host.spawnDaemon()
  }

  async reboot(host: LabHost): Promise<void> {
    await host.reboot()
    await host.spawnDaemon()
  }
}
