/** Four network namespaces on one bridge: three members and the machine of the clients. Nothing outside them is touched. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

/** RFC 2544 reserves it for benchmarks; it exists only inside the namespaces. */
const PREFIX = '198.19.0'
const CLIENT_HOST = 100
const NAMESPACES = '/run/netns'
const NAME = /^swr(\d+)[cm]\d$/

export class BenchNetwork {
  /** Addresses of the members. */
  readonly addresses: readonly string[]
  readonly #members: readonly string[]
  readonly #client: string

  constructor(members: number) {
    sweep()
    const indexes = Array.from({ length: members }, (_, at) => at + 1)
    this.#client = `swr${process.pid}c0`
    this.#members = indexes.map((index) => `swr${process.pid}m${index}`)
    this.addresses = indexes.map((index) => `${PREFIX}.${index}`)
    process.once('exit', () => this.close())
    this.#build()
  }

  /** A command line that runs another one in a member's namespace, in the same process. */
  inMember(index: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#members[index] as string]
  }

  /** The same in the clients' namespace. */
  inClient(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#client]
  }

  close(): void {
    for (const name of [this.#client, ...this.#members]) {
      if (existsSync(`${NAMESPACES}/${name}`)) spawnSync('ip', ['netns', 'delete', name])
    }
  }

  #build(): void {
    const client = this.#client
    ip('netns', 'add', client)
    ip('-n', client, 'link', 'set', 'lo', 'up')
    ip('-n', client, 'link', 'add', 'bench', 'type', 'bridge')
    ip('-n', client, 'addr', 'add', `${PREFIX}.${CLIENT_HOST}/24`, 'dev', 'bench')
    ip('-n', client, 'link', 'set', 'bench', 'up')
    this.#members.forEach((member, at) => {
      ip('netns', 'add', member)
      ip('-n', member, 'link', 'set', 'lo', 'up')
      const peer = ['peer', 'name', 'eth0', 'netns', member]
      ip('-n', client, 'link', 'add', `m${at + 1}`, 'type', 'veth', ...peer)
      ip('-n', client, 'link', 'set', `m${at + 1}`, 'master', 'bench', 'up')
      ip('-n', member, 'addr', 'add', `${this.addresses[at]}/24`, 'dev', 'eth0')
      ip('-n', member, 'link', 'set', 'eth0', 'up')
      ip('-n', member, 'route', 'add', 'default', 'via', `${PREFIX}.${CLIENT_HOST}`)
    })
  }
}

const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr?.trim() ?? 'not found'}`)
}

/** Removes what a run left that was killed. */
const sweep = (): void => {
  if (!existsSync(NAMESPACES)) return
  for (const name of readdirSync(NAMESPACES)) {
    const owner = NAME.exec(name)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) ip('netns', 'delete', name)
  }
}
