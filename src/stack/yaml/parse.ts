import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type YAMLMap,
  type Scalar as YamlScalar,
} from 'yaml'
import { controlCharacterLine, looseDocuments } from '../../yaml/loose-documents.ts'
import { Locations } from '../location.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import type { Path, Value, ValueMap } from '../value.ts'
import { plainScalar, taggedScalar } from './plain-scalar.ts'

/** Nodes that one file may unfold to through aliases; real files stay under a few thousand. */
const NODE_COUNT_MAX = 100_000

/** A file's tree, and the line of each key and item in it. */
export interface ParsedYaml {
  root: ValueMap
  lines: [Path, number][]
  /**
   * What an earlier file's value is taken away from, as the Compose Specification's tags say: `!reset` (then `root` has nothing there
   * either) and `!override`.
   */
  resets: Path[]
}

/**
 * A stack file's first YAML document. Thrown: StackFileProblem, for broken YAML, a key given twice, a key that is no string,
 * or anything but a mapping at the top.
 */
export const parseYaml = (text: string): ParsedYaml => {
  const line = controlCharacterLine(text)
  if (line !== undefined) {
    throw new StackFileProblem([], 'not valid YAML: control characters are not allowed', { line })
  }
  const { documents, lineAt, problemOf } = looseDocuments(text, {
    // Every scalar stays text: what a plain or a tagged one means is decided in plain-scalar.ts.
    schema: 'failsafe',
    resolveKnownTags: false,
    uniqueKeys: false,
    merge: false,
  })
  const [document] = documents
  if (document === undefined) throw new StackFileProblem([], 'must be a mapping, the file is empty')
  const problem = problemOf(document)
  if (problem !== undefined) {
    const { reason, offset, cause } = problem
    throw new StackFileProblem([], `not valid YAML: ${reason}`, { cause, line: lineAt(offset) })
  }
  const reader = new Reader(document, lineAt)
  const root = withLine(reader, () => reader.read(document.contents as Node | null, []))
  if (root === null || typeof root !== 'object' || Array.isArray(root)) {
    throw new StackFileProblem([], 'must be a mapping')
  }
  return { root, lines: reader.places, resets: reader.resets }
}

/** A problem gets the line that it is nearest to. */
const withLine = <T>(reader: Reader, read: () => T): T => {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof StackFileProblem) || thrown.line !== undefined) throw thrown
    const { line } = new Locations('', reader.places).of(thrown.path)
    if (line === undefined) throw thrown
    throw new StackFileProblem(thrown.path, thrown.message, { cause: thrown, line })
  }
}

const RESET_TAGS = new Set(['!reset', '!override'])

class Reader {
  readonly #document: Document
  readonly #lineAt: (offset: number) => number
  readonly #open = new Set<Node>()
  /** The line of each key and item that was read. */
  readonly places: [Path, number][] = []
  readonly resets: Path[] = []
  #nodeCount = 0

  constructor(document: Document, lineAt: (offset: number) => number) {
    this.#document = document
    this.#lineAt = lineAt
  }

  read(node: Node | null, path: Path): Value {
    this.#nodeCount += 1
    if (this.#nodeCount > NODE_COUNT_MAX) {
      throw new StackFileProblem(path, `aliases unfold to more than ${NODE_COUNT_MAX} nodes`)
    }
    if (node === null) return null
    const target = this.#target(node, path)
    if (isScalar(target)) return this.#scalar(target, path)
    if (this.#open.has(target)) throw new StackFileProblem(path, 'an anchor contains its own alias')
    this.#open.add(target)
    const value = isMap(target)
      ? Object.fromEntries(this.#entries(target, path))
      : isSeq(target)
        ? target.items.map((item, index) => this.#item(item as Node | null, [...path, index]))
        : null
    this.#open.delete(target)
    return value
  }

  /** Whether a value only takes an earlier file's away. */
  #isReset(node: Node | null, path: Path): boolean {
    const tag = node !== null && 'tag' in node ? node.tag : undefined
    if (tag === undefined || !RESET_TAGS.has(tag)) return false
    this.resets.push(path)
    return tag === '!reset'
  }

  #item(node: Node | null, path: Path): Value {
    this.#place(node, path)
    return this.read(node, path)
  }

  #place(node: Node | null, path: Path): number {
    const line = this.#lineAt(node?.range?.[0] ?? 0)
    if (node?.range) this.places.push([path, line])
    return line
  }

  #target(node: Node, path: Path): Node {
    if (!isAlias(node)) return node
    const target = node.resolve(this.#document)
    if (target === undefined) {
      const line = this.#lineAt(node.range?.[0] ?? 0)
      throw new StackFileProblem(path, `unknown anchor "${node.source}" referenced`, { line })
    }
    return target
  }

  #scalar(node: YamlScalar, path: Path): Value {
    const text = String(node.value ?? '')
    const { tag } = node
    if (tag !== undefined && !RESET_TAGS.has(tag)) return at(path, () => taggedScalar(tag, text))
    if (node.type !== 'PLAIN') return text
    const value = plainScalar(text)
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new StackFileProblem(path, `${text} is not a number that a stack file can hold`)
    }
    return value
  }

  /** A mapping's entries, those merged in by `<<` first so that its own override them. */
  #entries(map: YAMLMap, path: Path): Map<string, Value> {
    const seen = new Map<string, number>()
    const merged = new Map<string, Value>()
    const own = new Map<string, Value>()
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const key = this.#key(pair.key, path, seen)
      if (isMergeKey(pair.key)) {
        for (const [name, value] of this.#mergeSources(pair.value, path)) merged.set(name, value)
      } else if (!this.#isReset(pair.value, [...path, key])) {
        own.set(key, this.read(pair.value, [...path, key]))
      }
    }
    return new Map([...merged, ...own])
  }

  #key(node: Node, path: Path, seen: Map<string, number>): string {
    const target = this.#target(node, path)
    const line = this.#lineAt(target.range?.[0] ?? 0)
    const key = isScalar(target) ? this.#scalar(target, path) : undefined
    if (typeof key !== 'string' || !isScalar(target)) {
      const shown = isScalar(target) ? ` ${String(target.value ?? '')}` : ''
      throw new StackFileProblem(path, `the key${shown} must be a string; quote it`, { line })
    }
    const before = seen.get(key)
    if (before !== undefined) {
      const text = `mapping key "${key}" already defined at line ${before}`
      throw new StackFileProblem([...path, key], text, { line })
    }
    seen.set(key, line)
    this.#place(node, [...path, key])
    return key
  }

  /** What `<<` names: a mapping, or a list of them of which the first that has a key gives it. */
  #mergeSources(node: Node | null, path: Path): Map<string, Value> {
    const target = node === null ? null : this.#target(node, path)
    const sources = isSeq(target) ? target.items : [target]
    const merged = new Map<string, Value>()
    for (const source of sources.toReversed()) {
      const value = this.read(source as Node | null, [...path, '<<'])
      if (value === null || typeof value !== 'object' || Array.isArray(value)) {
        throw new StackFileProblem(path, '"<<" needs a mapping or a list of mappings')
      }
      for (const [name, item] of Object.entries(value)) merged.set(name, item)
    }
    return merged
  }
}

const isMergeKey = (node: Node): boolean =>
  isScalar(node) && node.type === 'PLAIN' && node.value === '<<'
