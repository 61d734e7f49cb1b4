/** Daemons in this process and what crashes at every place would leave of their data directories. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Daemon } from '../../../src/daemon/daemon.ts'
import { StandInEngine } from '../http/stand-in-engine.ts'
import { eventually } from '../lab/eventually.ts'
import { type CrashImage, CrashImages } from './crash-images.ts'
import { daemonOn, freePort, initRequest, joinRequest } from './crash-node.ts'

const KEYS_AND_LOG = ['credentials.json', 'data-key.json', 'raft']

export class CrashBench {
  readonly dir = mkdtempSync(join(tmpdir(), 'swarmctl-crash-'))
  readonly engine = new StandInEngine(join(this.dir, 'engine.sock'))
  readonly #daemons = new Set<Daemon>()
  #count = 0

  static async create(t: Test): Promise<CrashBench> {
    const bench = new CrashBench()
    await bench.engine.start()
    t.teardown(async () => {
      for (const daemon of bench.#daemons) await daemon.stop()
      await bench.engine.stop()
      rmSync(bench.dir, { recursive: true })
    })
    return bench
  }

  place(): string {
    this.#count += 1
    return join(this.dir, `data${this.#count}`)
  }

  async daemon(dataDir = this.place()): Promise<Daemon> {
    const daemon = await daemonOn(dataDir, this.engine.socketPath)
    this.#daemons.add(daemon)
    return daemon
  }

  async stop(daemon: Daemon): Promise<void> {
    this.#daemons.delete(daemon)
    await daemon.stop()
  }

  /** What a crash would leave of a data directory at each place of what `run` does. */
  async images(dataDir: string, run: () => Promise<unknown>): Promise<CrashImage[]> {
    this.#count += 1
    const images = new CrashImages(dataDir, join(this.dir, `images${this.#count}`))
    images.start()
    try {
      await run()
    } finally {
      images.stop()
    }
    return images.images
  }

  /** Starts a daemon on each, one after the other. */
  async each(images: CrashImage[], look: (daemon: Daemon, path: string) => Promise<void>) {
    for (const { path, kind, before } of images) {
      const daemon = await this.daemon(path)
      try {
        await look(daemon, path)
      } catch (error) {
        const { message } = error as Error
        const { localNodeState, error: said } = daemon.status()
        throw new Error(`${kind} died before ${before}: ${message}; ${localNodeState} ${said}`)
      }
      await this.stop(daemon)
    }
  }
}

export const stateOf = (daemon: Daemon) => daemon.status().localNodeState

export const untilLeading = (daemon: Daemon) =>
  eventually(async () => (await daemon.route()).kind === 'self', {
    ...{ what: 'it leads', timeoutMs: 30_000, intervalMs: 5 },
  })

export const nodesOf = (manager: Daemon) => manager.control().listNodes()

export const isReady = (manager: Daemon, nodeId: string) =>
  eventually(
    async () => {
      const node = (await nodesOf(manager)).find(({ ID }) => ID === nodeId)
      return node?.Status.State === 'ready'
    },
    { what: 'its agent is back', timeoutMs: 30_000, intervalMs: 10 },
  )

/** Of a node in no swarm what is below its names goes unseen, whatever it is: one of each is enough. */
export const unlike = (images: readonly CrashImage[]) => {
  const seen = new Set<string>()
  return images.filter(({ path }) => {
    const names = existsSync(path) ? readdirSync(path) : []
    const isNew = !seen.has(names.join())
    if (!names.includes('node.json')) seen.add(names.join())
    return isNew
  })
}

/** One of each of a member whose record or keys differ. */
export const otherwise = (images: readonly CrashImage[]) => {
  const seen = new Set<string>()
  return images.filter(({ path }) => {
    const names = readdirSync(path)
    const files = names.filter((name) => /^(node|credentials|data-key)\.json$/.test(name))
    const all = [...names, ...files.map((name) => readFileSync(join(path, name), 'utf8'))].join()
    const isNew = !seen.has(all)
    seen.add(all)
    return isNew
  })
}

export const filesOf = (path: string) =>
  readdirSync(path).filter((name) => KEYS_AND_LOG.includes(name))

/** A manager, and what another node joins it with. */
export const secondNode = async (bench: CrashBench, role: 'Worker' | 'Manager') => {
  const [port, port2] = [await freePort(), await freePort()]
  const manager = await bench.daemon()
  await manager.init(initRequest(port))
  const { JoinTokens } = await manager.control().getCluster()
  return { manager, port, request: joinRequest(port2, port, JoinTokens[role]) }
}

/** A manager and a worker that has joined it. */
export const joinedWorker = async (bench: CrashBench) => {
  const { manager, request } = await secondNode(bench, 'Worker')
  const path = bench.place()
  const second = await bench.daemon(path)
  await second.join(request)
  return { manager, path, second }
}
