import { invalid } from './errors.ts'
import { blockSize, parseCidr, parseIpv4 } from './ipv4.ts'
import { labelOf } from './label-of.ts'
import type { Node } from './node.ts'

/** One parsed placement constraint, e.g. `node.labels.disk==ssd`. */
export interface Constraint {
  key: string
  operator: '==' | '!='
  value: string
}

/** The parts of a node that constraints look at. */
export type ConstrainedNode = Pick<Node, 'ID' | 'Spec' | 'Description' | 'Status' | 'Swarmctl'>

const OPERATORS = ['==', '!='] as const
/** swarmkit `manager/constraint`: what a key may look like. */
const KEY = /^[a-z_][a-z0-9\-_.]+$/i
/** The same for values: no character of a present or future operator. */
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i
const NODE_LABELS = 'node.labels.'
const ENGINE_LABELS = 'engine.labels.'
const FIXED_KEYS: ReadonlySet<string> = new Set([
  'node.id',
  'node.hostname',
  'node.ip',
  'node.role',
  'node.platform.os',
  'node.platform.arch',
])

/**
 * Parses `key==value` or `key!=value`.
 * @throws SwarmctlError INVALID_ARGUMENT with Docker's text, also for a key that no node could ever match
 */
export const parseConstraint = (expression: string): Constraint => {
  const operator = OPERATORS.find((candidate) => expression.includes(candidate))
  if (operator === undefined) {
    throw invalid(`constraint expected one operator from ${OPERATORS.join(', ')}`)
  }
  const at = expression.indexOf(operator)
  const key = expression.slice(0, at).trim()
  const value = expression.slice(at + operator.length).trim()
  if (!KEY.test(key) || !isKnownKey(key)) throw invalid(`key '${key}' is invalid`)
  if (!VALUE.test(value)) throw invalid(`value '${value}' is invalid`)
  return { key, operator, value }
}

/** Parses all of a placement's constraints; absent means none. */
export const parseConstraints = (expressions: readonly string[] | undefined): Constraint[] =>
  (expressions ?? []).map(parseConstraint)

export const formatConstraint = (constraint: Constraint): string =>
  `${constraint.key}${constraint.operator}${constraint.value}`

/** Whether the node satisfies the constraint. Values compare without regard to case, as Swarm's. */
export const matchesConstraint = (constraint: Constraint, node: ConstrainedNode): boolean =>
  holds(constraint, node) === (constraint.operator === '==')

/** The first constraint that the node does not satisfy, `undefined` when it satisfies all. */
export const unmetConstraint = (
  constraints: readonly Constraint[],
  node: ConstrainedNode,
): Constraint | undefined => constraints.find((constraint) => !matchesConstraint(constraint, node))

const isKnownKey = (key: string): boolean => {
  const lower = key.toLowerCase()
  return (
    FIXED_KEYS.has(lower) ||
    (lower.startsWith(NODE_LABELS) && key.length > NODE_LABELS.length) ||
    (lower.startsWith(ENGINE_LABELS) && key.length > ENGINE_LABELS.length)
  )
}

const equalFold = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

const holds = ({ key, value }: Constraint, node: ConstrainedNode): boolean => {
  const lower = key.toLowerCase()
  switch (lower) {
    case 'node.id':
      return equalFold(node.ID, value)
    case 'node.hostname':
      return equalFold(node.Description.Hostname, value)
    case 'node.ip':
      return matchesAddress(node.Status.Addr, value)
    case 'node.role':
      return equalFold(node.Swarmctl.ObservedRole, value)
    case 'node.platform.os':
      return equalFold(node.Description.Platform.OS, value)
    case 'node.platform.arch':
      return (
        equalFold(node.Description.Platform.Architecture, value) ||
        normalArchitecture(node.Description.Platform.Architecture) === normalArchitecture(value)
      )
    default:
  }
  if (lower.startsWith(NODE_LABELS)) {
    return equalFold(labelOf(node.Spec.Labels, key.slice(NODE_LABELS.length)), value)
  }
  const label = key.slice(ENGINE_LABELS.length)
  return equalFold(labelOf(node.Description.Engine.Labels, label), value)
}

/** The Go name of an architecture: nodes report `x86_64` and `aarch64`, image indexes say `amd64` and `arm64`. */
export const normalArchitecture = (architecture: string): string => {
  const lower = architecture.toLowerCase()
  if (lower === 'x86_64') return 'amd64'
  if (lower === 'aarch64') return 'arm64'
  return lower
}

/** An IPv4 address against an address or a CIDR; other address families compare as text. */
const matchesAddress = (addr: string, pattern: string): boolean => {
  const address = parseIpv4(addr)
  if (address === undefined) return equalFold(addr, pattern)
  const block = parseCidr(pattern.includes('/') ? pattern : `${pattern}/32`)
  if (block === undefined) return false
  const offset = address - block.first
  return offset >= 0 && offset < blockSize(block.prefix)
}
