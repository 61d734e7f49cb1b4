import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type ScalarTag,
  type Tags,
} from 'yaml'
import {
  controlCharacterLine,
  type LooseDocuments,
  looseDocuments,
} from '../yaml/loose-documents.ts'
import { requireBounded } from './bounded.ts'
import { jsonValues } from './json-values.ts'
import { ManifestProblem, manifestError } from './manifest-error.ts'

/** One object of a file of manifests. */
export interface Manifest {
  /** As the user named it. */
  file: string
  apiVersion: string
  kind: string
  name: string
  /** `default` where it names none. */
  namespace: string
  tree: Record<string, unknown>
  /** The line of a field, or of the nearest around it that has one. */
  lineOf(path: readonly (string | number)[]): number
}

/** `Deployment web`, as messages name an object. */
export const objectText = ({ kind, name }: Manifest): string => `${kind} ${name}`

/** Objects that one file may hold. */
const OBJECTS_MAX = 1000

/** Lists in lists, down to this depth. */
const LIST_DEPTH_MAX = 2

/** `0o17` and `0X1F`, as Go reads numbers; the package knows `017` and `0x1F`. */
const GO_INTEGER: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^0(?:o[0-7]+|X[0-9A-Fa-f]+)$/,
  resolve: (text: string) => Number(text.toLowerCase()),
}

/**
 * YAML 1.1 without its dates and clock times, as Kubernetes reads it: `2020-01-01` and `12:30:45` are texts.
 */
const asKubernetes = (tags: Tags): Tags => [
  GO_INTEGER,
  ...tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      !(tag.format === 'TIME' || tag.tag === 'tag:yaml.org,2002:timestamp'),
  ),
]

/** All objects of a file, those in a `List` too; none of one that is empty. Thrown: SwarmctlError, naming file and line. */
export const parseManifests = (file: string, text: string): Manifest[] => {
  const line = controlCharacterLine(text)
  if (line !== undefined) {
    throw manifestError({ file, line }, 'not valid YAML: control characters are not allowed')
  }
  const manifests = jsonValues(text).flatMap((source) => {
    const parsed = looseDocuments(source, { customTags: asKubernetes, version: '1.1' })
    return parsed.documents.flatMap((document) => readDocument(file, document, parsed))
  })
  if (manifests.length > OBJECTS_MAX) {
    throw manifestError({ file, line: 1 }, `more than ${OBJECTS_MAX} objects`)
  }
  return manifests
}

const readDocument = (
  file: string,
  document: Document,
  { lineAt, problemOf }: LooseDocuments,
): Manifest[] => {
  const broken = problemOf(document)
  if (broken !== undefined) {
    const { reason, offset, cause } = broken
    throw manifestError({ file, line: lineAt(offset) }, `not valid YAML: ${reason}`, cause)
  }
  const root = document.contents as Node
  const tree = treeOf(file, document, lineAt(root?.range?.[0] ?? 0))
  if (tree === null) return []
  return readObject(file, tree, root, lineAt)
}

/** Thrown: SwarmctlError, for an alias of nothing or a document that aliases make too large. */
const treeOf = (file: string, document: Document, line: number): unknown => {
  try {
    // The package's own guard takes a hundred uses of one anchor for an attack.
    const tree: unknown = document.toJS({ maxAliasCount: -1 })
    requireBounded(tree)
    return tree
  } catch (cause) {
    throw manifestError({ file, line }, `not valid YAML: ${(cause as Error).message}`, cause)
  }
}

const readObject = (
  file: string,
  tree: unknown,
  node: Node,
  lineAt: (offset: number) => number,
  depth = 0,
): Manifest[] => {
  const lineOf = (path: readonly (string | number)[]) => lineAt(offsetOf(node, path))
  const refuse = (text: string): never => {
    throw manifestError({ file, line: lineOf([]) }, text)
  }
  if (!isRecord(tree)) return refuse('an object must be a mapping')
  const { apiVersion, kind, metadata, items } = tree
  if (typeof kind !== 'string') return refuse('kind is missing')
  // `kubectl get` writes a List, client libraries a DeploymentList, whose items need not say what they are.
  if (kind.endsWith('List')) {
    const itemKind = kind.slice(0, -'List'.length)
    const known = itemKind === '' ? {} : { apiVersion, kind: itemKind }
    const list = isMap(node) ? node.get('items', true) : undefined
    const nodes = isSeq(list) ? list.items : []
    if (!Array.isArray(items)) return refuse(`${kind}: items must be a list`)
    if (depth === LIST_DEPTH_MAX) return refuse(`more than ${LIST_DEPTH_MAX} Lists in each other`)
    return items.flatMap((item, index) =>
      readObject(
        file,
        isRecord(item) ? { ...known, ...item } : item,
        nodes[index] as Node,
        lineAt,
        depth + 1,
      ),
    )
  }
  if (typeof apiVersion !== 'string') return refuse(`${kind}: apiVersion is missing`)
  const { name, namespace } = isRecord(metadata) ? metadata : {}
  if (typeof name === 'boolean' || typeof name === 'number') {
    return refuse(`${kind}: metadata.name is a ${typeof name}, not a text: quote it`)
  }
  if (typeof name !== 'string' || name === '') return refuse(`${kind}: metadata.name is missing`)
  const own = typeof namespace === 'string' && namespace !== '' ? namespace : 'default'
  return [{ file, apiVersion, kind, name, namespace: own, tree, lineOf }]
}

const offsetOf = (root: Node | undefined, path: readonly (string | number)[]): number => {
  let node: Node | null | undefined = root
  let offset = root?.range?.[0] ?? 0
  for (const step of path) {
    const found: { key: Node | null; value: Node | null } | undefined = stepInto(node, step)
    if (found === undefined) break
    offset = (found.key ?? found.value)?.range?.[0] ?? offset
    node = found.value
  }
  return offset
}

const stepInto = (node: Node | null | undefined, step: string | number) => {
  if (isSeq(node)) {
    const item = node.items[Number(step)] as Node | undefined
    return item === undefined ? undefined : { key: null, value: item }
  }
  if (!isMap(node)) return undefined
  const pair = (node.items as Pair<Node, Node | null>[]).find(
    ({ key }) => isScalar(key) && String(key.value) === String(step),
  )
  return pair === undefined ? undefined : { key: pair.key, value: pair.value }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Runs `read`; a problem becomes the error that names the object's file and line. */
export const inManifest = <T>(manifest: Manifest, read: () => T): T => {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof ManifestProblem)) throw thrown
    const { file } = manifest
    const field = thrown.path.length === 0 ? '' : `${thrown.path.join('.')} `
    const text = `${objectText(manifest)}: ${field}${thrown.message}`
    throw manifestError({ file, line: manifest.lineOf(thrown.path) }, text, thrown)
  }
}
