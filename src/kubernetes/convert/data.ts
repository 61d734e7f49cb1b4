import { createHash } from 'node:crypto'
import type { ConfigSpec } from '../../api/config.ts'
import type { SecretSpec } from '../../api/secret.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import { parseConfigSpec, parseSecretSpec } from '../../api/validate/secret.ts'
import { base64In } from '../base64.ts'
import { asProblem, ManifestProblem } from '../manifest-error.ts'
import type { ConfigMap, KubernetesSecret } from '../schema/objects.ts'
import { clusterName, SUFFIX_LENGTH } from './cluster-name.ts'

type DataKind = 'ConfigMap' | 'Secret'

/** The cluster's names have at most so many characters. */
const NAME_LENGTH_MAX = 64
const BASE_LENGTH_MAX = NAME_LENGTH_MAX - SUFFIX_LENGTH - 1

const hashOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, SUFFIX_LENGTH)

/**
 * The ConfigMaps and Secrets of one namespace. A container gets files, so that each key that is mounted becomes a config or secret of its
 * own. Content can't be changed: other content is another object, and its service is updated. A config's name ends with a hash of its content; a
 * secret's has no such end here (`secret-names.ts`), since whoever sees a hash can try passwords against it.
 */
export class DataObjects {
  readonly #namespace: string
  /** By `kind name`; values in base64 by key. */
  readonly #objects = new Map<string, ReadonlyMap<string, string>>()
  /** Keys of `#objects` that something asked for. */
  readonly #used = new Set<string>()
  readonly #configs = new Map<string, ConfigSpec>()
  /** By `name\0key`. */
  readonly #secrets = new Map<string, SecretSpec>()

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  /** Thrown: ManifestProblem. */
  addConfigMap(name: string, { data = {}, binaryData = {} }: ConfigMap): void {
    const values = new Map([...encoded(data), ...normalised(binaryData, 'binaryData')])
    this.#objects.set(`ConfigMap ${name}`, values)
  }

  /** Thrown: ManifestProblem. */
  addSecret(name: string, { data = {}, stringData = {} }: KubernetesSecret): void {
    const values = new Map([...normalised(data, 'data'), ...encoded(stringData)])
    this.#objects.set(`Secret ${name}`, values)
  }

  /** Whether a workload mounts it or has a variable of it. */
  isUsed(kind: DataKind, name: string): boolean {
    return this.#used.has(`${kind} ${name}`)
  }

  /** Values in base64 by key; undefined when the object is not among the manifests. */
  valuesOf(kind: DataKind, name: string): ReadonlyMap<string, string> | undefined {
    this.#used.add(`${kind} ${name}`)
    return this.#objects.get(`${kind} ${name}`)
  }

  /** One value as text. Thrown: ManifestProblem. */
  textOf(kind: DataKind, name: string, key: string, path: (string | number)[]): string {
    return Buffer.from(this.#value(kind, name, key, path), 'base64').toString('utf8')
  }

  /** The name of the config or secret for one key, which then exists. Thrown: ManifestProblem. */
  fileOf(kind: DataKind, name: string, key: string, path: (string | number)[]): string {
    const Data = this.#value(kind, name, key, path)
    const Labels = { [NAMESPACE_LABEL]: this.#namespace }
    if (kind === 'Secret') {
      const known = this.#secrets.get(`${name}\0${key}`)
      if (known !== undefined) return known.Name
      const Name = this.#secretName(name, key)
      const secret = { Name, Labels, Data }
      // A file may be empty in Kubernetes.
      asProblem(path, () => parseSecretSpec(secret), `Secret ${name}: ${key}: `)
      this.#secrets.set(`${name}\0${key}`, secret)
      return Name
    }
    const whole = clusterName(this.#namespace, `${name}.${key}`)
    const Name = `${whole.slice(0, BASE_LENGTH_MAX)}-${hashOf(`${kind}\0${Data}`)}`
    const config = { Name, Labels, Data }
    asProblem(path, () => parseConfigSpec(config), `ConfigMap ${name}: ${key}: `)
    this.#configs.set(Name, config)
    return Name
  }

  /** Of what is cut, or could be another key's as well (`a.b` and `a`, `b.c` and `c`), a hash of its own name tells the difference. */
  #secretName(name: string, key: string): string {
    const whole = clusterName(this.#namespace, `${name}.${key}`)
    const isTaken = [...this.#secrets.values()].some(({ Name }) => Name === whole)
    if (whole.length <= BASE_LENGTH_MAX && !isTaken) return whole
    const end = hashOf(`${name}\0${key}`)
    return `${whole.slice(0, BASE_LENGTH_MAX - SUFFIX_LENGTH - 1)}-${end}`
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

/** Base64 without the line breaks that it may have. */
const normalised = (
  values: Readonly<Record<string, string>>,
  field: 'data' | 'binaryData',
): [string, string][] =>
  Object.entries(values).map(([key, text]) => {
    const packed = base64In(text)
    if (packed !== undefined) return [key, packed]
    const more = field === 'data' ? ': what is plain text stands under stringData' : ''
    throw new ManifestProblem([field, key], `must be base64${more}`)
  })

const byName = (a: { Name: string }, b: { Name: string }): number => (a.Name < b.Name ? -1 : 1)
