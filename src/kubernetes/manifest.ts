import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type Tags,
} from 'yaml'
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
/** Aliases may make a document larger, up to this factor (the YAML library's own guard). */
const ALIAS_COUNT_MAX = 100

/** Lists in lists, down to this depth; an alias can make one its own item. */
const LIST_DEPTH_MAX = 2

/**
 * YAML 1.1 without its dates and clock times, as Kubernetes reads it: `2020-01-01` and `12:30:45` are texts.
 */
const asKubernetes = (tags: Tags): Tags =>
  tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      !(tag.format === 'TIME' || tag.tag === 'tag:yaml.org,2002:timestamp'),
  )

/** All objects of a file, those in a `List` too. Thrown: SwarmctlError, naming file and line. */
export const parseManifests = (file: string, text: string): Manifest[] => {
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, {
    customTags: asKubernetes,
    lineCounter: lines,
    logLevel: 'silent',
    version: '1.1',
  })
  const documents = (Array.isArray(parsed) ? parsed : []) as Document[]
  const manifests = documents.flatMap((document) => readDocument(file, document, lines))
  if (manifests.length === 0) throw manifestError({ file, line: 1 }, 'there is no object in it')
  if (manifests.length > OBJECTS_MAX) {
    throw manifestError({ file, line: 1 }, `more than ${OBJECTS_MAX} objects`)
  }
  return manifests
}

const readDocument = (file: string, document: Document, lines: LineCounter): Manifest[] => {
  const broken = document.errors[0]
  if (broken !== undefined) {
    const reason = broken.message.split('\n')[0]?.replace(/( at line \d+, column \d+)?:$/, '')
    const { line } = lines.linePos(broken.pos[0])
    throw manifestError({ file, line }, `not valid YAML: ${reason}`, broken)
  }
  const root = document.contents as Node
  const tree = treeOf(file, document, lines.linePos(root?.range?.[0] ?? 0).line)
  if (tree === null) return []
  return readObject(file, tree, root, lines)
}

/** Thrown: SwarmctlError, for an alias of nothing or a document that aliases make too large. */
const treeOf = (file: string, document: Document, line: number): unknown => {
  try {
    return document.toJS({ maxAliasCount: ALIAS_COUNT_MAX })
  } catch (cause) {
    throw manifestError({ file, line }, `not valid YAML: ${(cause as Error).message}`, cause)
  }
}

const readObject = (
  file: string,
  tree: unknown,
  node: Node,
  lines: LineCounter,
  depth = 0,
): Manifest[] => {
  const lineOf = (path: readonly (string | number)[]) => lineAt(node, path, lines)
  const refuse = (text: string): never => {
    throw manifestError({ file, line: lineOf([]) }, text)
  }
  if (!isRecord(tree)) return refuse('an object must be a mapping')
  const { apiVersion, kind, metadata, items } = tree
  if (typeof kind !== 'string') return refuse('kind is missing')
  if (kind === 'List') {
    const list = isMap(node) ? node.get('items', true) : undefined
    const nodes = isSeq(list) ? list.items : []
    if (!Array.isArray(items)) return refuse('List: items must be a list')
    if (depth === LIST_DEPTH_MAX) return refuse(`more than ${LIST_DEPTH_MAX} Lists in each other`)
    return items.flatMap((item, index) =>
      readObject(file, item, nodes[index] as Node, lines, depth + 1),
    )
  }
  if (typeof apiVersion !== 'string') return refuse(`${kind}: apiVersion is missing`)
  const { name, namespace } = isRecord(metadata) ? metadata : {}
  if (typeof name !== 'string' || name === '') return refuse(`${kind}: metadata.name is missing`)
  const own = typeof namespace === 'string' && namespace !== '' ? namespace : 'default'
  return [{ file, apiVersion, kind, name, namespace: own, tree, lineOf }]
}

const lineAt = (
  root: Node | undefined,
  path: readonly (string | number)[],
  lines: LineCounter,
): number => {
  let node: Node | null | undefined = root
  let offset = root?.range?.[0] ?? 0
  for (const step of path) {
    const found: { key: Node | null; value: Node | null } | undefined = stepInto(node, step)
    if (found === undefined) break
    offset = (found.key ?? found.value)?.range?.[0] ?? offset
    node = found.value
  }
  return lines.linePos(offset).line
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
