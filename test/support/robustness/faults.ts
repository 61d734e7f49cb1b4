import type { LabHost } from '../lab/host.ts'
import type { Lab } from '../lab/lab.ts'

/** Something that happens to managers, and how it is taken back. */
export interface Fault {
  readonly name: string
  /** Who is out of service while it lasts: the clients of the others see when writes go on. All: nobody can go on before it ends. */
  readonly victims: 'leader' | 'follower' | 'all'
  readonly begin: (lab: Lab, victims: readonly LabHost[]) => Promise<void>
  readonly end: (lab: Lab, victims: readonly LabHost[]) => Promise<void>
}

const all = (victims: readonly LabHost[], act: (host: LabHost) => unknown) => async () => {
  await Promise.all(victims.map(act))
}

const kill: Pick<Fault, 'begin' | 'end'> = {
  begin: (_, victims) => all(victims, (host) => host.kill9Daemon())(),
  end: (_, victims) => all(victims, (host) => host.spawnDaemon())(),
}

const pause: Pick<Fault, 'begin' | 'end'> = {
  begin: (_, victims) => all(victims, (host) => host.signalDaemon('SIGSTOP'))(),
  end: (_, victims) => all(victims, (host) => host.signalDaemon('SIGCONT'))(),
}

const cut: Pick<Fault, 'begin' | 'end'> = {
  begin: (lab, victims) =>
    lab.partition([victims, lab.hosts.filter((host) => !victims.includes(host))]),
  end: (lab) => lab.heal(),
}

/** What others send does not arrive; what the victim sends does. */
const deafen: Pick<Fault, 'begin' | 'end'> = {
  begin: async (lab, victims) => {
    for (const host of victims) {
      const others = lab.hosts.filter((other) => other !== host).map((other) => other.ip)
      const rules = `table inet lab {
        chain in { type filter hook prerouting priority -500; ip saddr { ${others.join(', ')} } drop; }
      }`
      await host.exec('nft', ['-f', '-'], { input: rules })
    }
  },
  end: (lab) => lab.heal(),
}

/** In the order in which rounds take them. */
export const FAULTS: readonly Fault[] = [
  { name: 'SIGKILL leader', victims: 'leader', ...kill },
  { name: 'SIGSTOP leader', victims: 'leader', ...pause },
  { name: 'cut off leader', victims: 'leader', ...cut },
  { name: 'deaf leader', victims: 'leader', ...deafen },
  { name: 'SIGKILL all', victims: 'all', ...kill },
  { name: 'SIGKILL follower', victims: 'follower', ...kill },
  { name: 'SIGSTOP follower', victims: 'follower', ...pause },
  { name: 'cut off follower', victims: 'follower', ...cut },
  { name: 'deaf follower', victims: 'follower', ...deafen },
  { name: 'SIGSTOP all', victims: 'all', ...pause },
]
