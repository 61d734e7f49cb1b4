import { createHash } from 'node:crypto'
import type { ConfigSpec } from '../../api/config.ts'
import type { SecretSpec } from '../../api/secret.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import { ManifestProblem } from '../manifest-error.ts'
import type { ConfigMap, KubernetesSecret } from '../schema/objects.ts'
import { clusterName } from './cluster-name.ts'

type DataKind = 'ConfigMap' | 'Secret'

/** The cluster's names have at most so many characters. */
const NAME_LENGTH_MAX = 64
const HASH_LENGTH = 10

/**
 * The ConfigMaps and Secrets of one namespace. A container gets files, so that each key that is mounted becomes a config or secret of its
 * own; its name ends with a hash of the content, because content can't be changed: other content is another object, and its service is
 * updated.
 */
export class DataObjects {
  readonly #namespace: string
  /** By `kind name`; values in base64 by key. */
  readonly #objects = new Map<string, ReadonlyMap<string, string>>()
  readonly #configs = new Map<string, ConfigSpec>()
  readonly #secrets = new Map<string, SecretSpec>()

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  addConfigMap(name: string, { data = {}, binaryData = {} }: ConfigMap): void {
    this.#objects.set(
      `ConfigMap ${name}`,
      new Map([...encoded(data), ...Object.entries(binaryData)]),
    )
  }

  addSecret(name: string, { data = {}, stringData = {} }: KubernetesSecret): void {
    this.#objects.set(`Secret ${name}`, new Map([...Object.entries(data), ...encoded(stringData)]))
  }

  /** Values in base64 by key; undefined when the object is not among the manifests. */
  valuesOf(kind: DataKind, name: string): ReadonlyMap<string, string> | undefined {
    return this.#objects.get(`${kind} ${name}`)
  }

  /** One value as text. Thrown: ManifestProblem. */
  textOf(kind: DataKind, name: string, key: string, path: (string | number)[]): string {
    return Buffer.from(this.#value(kind, name, key, path), 'base64').toString('utf8')
  }

  /** The name of the config or secret for one key, which then exists. Thrown: ManifestProblem. */
  fileOf(kind: DataKind, name: string, key: string, path: (string | number)[]): string {
    const data = this.#value(kind, name, key, path)
    const hash = createHash('sha256').update(`${kind}\0${data}`).digest('hex').slice(0, HASH_LENGTH)
    const whole = clusterName(this.#namespace, `${name}.${key}`)
    const plain = whole.slice(0, NAME_LENGTH_MAX - HASH_LENGTH - 1)
    const full = `${plain}-${hash}`
    const body = { Name: full, Labels: { [NAMESPACE_LABEL]: this.#namespace }, Data: data }
    if (kind === 'ConfigMap') this.#configs.set(full, body)
    else this.#secrets.set(full, body)
    return full
  }

  /** Thrown: ManifestProblem. */
  keysOf(kind: DataKind, name: string, path: (string | number)[]): string[] {
    return [...this.#require(kind, name, path).keys()]
  }

  get configs(): ConfigSpec[] {
    return [...this.#configs.values()].sort(byName)
  }

  get secrets(): SecretSpec[] {
    return [...this.#secrets.values()].sort(byName)
  }

  #value(kind: DataKind, name: string, key: string, path: (string | number)[]): string {
    const value = this.#require(kind, name, path).get(key)
    if (value !== undefined) return value
    throw new ManifestProblem(path, `${kind} ${name} has no key ${key}`)
  }

  #require(kind: DataKind, name: string, path: (string | number)[]): ReadonlyMap<string, string> {
    const values = this.valuesOf(kind, name)
    if (values !== undefined) return values
    throw new ManifestProblem(path, `there is no ${kind} ${name} in these files: apply it along`)
  }
}

const encoded = (texts: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')])

const byName = (a: { Name: string }, b: { Name: string }): number => (a.Name < b.Name ? -1 : 1)
