import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type CertificateFiles, createCertificates } from './certificates.ts'
import type { Target } from './job.ts'
import type { BenchNetwork } from './network.ts'
import { ServerProcess } from './server-process.ts'
import type { RaftSubject } from './subject.ts'

const CLIENT_PORT = 2379
const PEER_PORT = 2380

/** Three members of Debian's etcd with its defaults: fsync on, heartbeat 100 ms, election 1000 ms. */
export class EtcdCluster implements RaftSubject {
  readonly name = 'etcd'
  readonly #network: BenchNetwork
  readonly #directory: string
  #files: CertificateFiles | undefined
  #members: ServerProcess[] = []

  constructor(network: BenchNetwork, directory: string) {
    this.#network = network
    this.#directory = join(directory, 'etcd')
  }

  async start(): Promise<void> {
    rmSync(this.#directory, { recursive: true, force: true })
    mkdirSync(this.#directory, { recursive: true })
    this.#files = await createCertificates(this.#directory, this.#network.addresses)
    this.#members = this.#network.addresses.map((_, index) => this.#spawn(index, 'new'))
  }

  async startMember(index: number): Promise<void> {
    this.#members[index] = this.#spawn(index, 'existing')
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()))
    rmSync(this.#directory, { recursive: true, force: true })
  }

  target(): Target {
    const files = this.#files
    if (files === undefined) throw new Error('etcd was not started')
    const [key, cert, ca] = [files.key, files.cert, files.ca].map((file) =>
      readFileSync(file, 'utf8'),
    ) as [string, string, string]
    return {
      subject: 'etcd',
      addrs: this.#network.addresses.map((address) => `${address}:${CLIENT_PORT}`),
      pids: this.#members.map(({ pid }) => pid),
      tls: { key, cert, ca },
    }
  }

  member(index: number): ServerProcess {
    return this.#members[index] as ServerProcess
  }

  logTails(): string {
    return this.#members.map((member) => `${member.logFile}:\n${member.logTail()}`).join('\n')
  }

  #spawn(index: number, state: 'new' | 'existing'): ServerProcess {
    const { addresses } = this.#network
    const files = this.#files as CertificateFiles
    const address = addresses[index] as string
    const [client, peer] = [`https://${address}:${CLIENT_PORT}`, `https://${address}:${PEER_PORT}`]
    const cluster = addresses.map((of, at) => `m${at}=https://${of}:${PEER_PORT}`).join(',')
    const flags = {
      name: `m${index}`,
      'data-dir': join(this.#directory, `m${index}`),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': cluster,
      'initial-cluster-state': state,
      'cert-file': files.cert,
      'key-file': files.key,
      'trusted-ca-file': files.ca,
      'client-cert-auth': 'true',
      'peer-cert-file': files.cert,
      'peer-key-file': files.key,
      'peer-trusted-ca-file': files.ca,
      'peer-client-cert-auth': 'true',
      'log-level': 'error',
    }
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
    const command = [...this.#network.inMember(index), 'etcd', ...args]
    return new ServerProcess(command, join(this.#directory, `m${index}.log`))
  }
}
