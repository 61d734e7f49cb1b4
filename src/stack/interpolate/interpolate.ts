import { at, reasonOf, StackFileProblem } from '../stack-error.ts'
import { isMap, type Path, pathText, type Value, type ValueMap } from '../value.ts'
import { castFor } from './cast.ts'
import { substitute } from './template.ts'

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A variable's value; `undefined` when it is not set. */
export const lookupIn =
  (env: Environment) =>
  (name: string): string | undefined =>
    Object.hasOwn(env, name) ? env[name] : undefined

/** What variables are replaced with. */
export interface Interpolation {
  env: Environment
  /** True: the tree stays as it stands. */
  skipInterpolation?: boolean
  /** Collects a warning. */
  note(text: string): void
}

/**
 * The tree with variables replaced in every string value; keys stay. A value that a substitution changed gets the type that its
 * place needs (`replicas: ${N}`). Thrown: StackFileProblem.
 */
export const interpolate = (root: ValueMap, interpolation: Interpolation): ValueMap => {
  const { env, note } = interpolation
  if (interpolation.skipInterpolation) return root
  const lookup = lookupIn(env)
  const walk = (value: Value, path: Path): Value => {
    if (typeof value === 'string') {
      if (NESTED.test(value)) note(`${pathText(path)}: ${NESTED_NOTE}`)
      const [, name] = UNBRACED.exec(value) ?? []
      if (name !== undefined) note(`${pathText(path)}: ${unbracedNote(name)}`)
      return interpolateText(value, path, { lookup, note })
    }
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]))
    if (isMap(value)) return walkMap(value, path)
    return value
  }
  const walkMap = (map: ValueMap, path: Path): ValueMap =>
    Object.fromEntries(Object.entries(map).map(([key, item]) => [key, walk(item, [...path, key])]))
  return walkMap(root, [])
}

/** A variable within another's default. */
const NESTED = /(?<!\$)\$\{[^}]*[-+?][^}]*\$\{/
const NESTED_NOTE =
  'the first } ends an expression, as in docker stack deploy: a variable in a default is not replaced'

/** `$NAME-db`, which looks like the value and then `-db`. An even number of `$` before it are text. */
const UNBRACED = /(?<=(?:^|[^$])(?:\$\$)*)\$([_a-z][_a-z0-9]*):?[-+?]/i
const unbracedNote = (name: string): string =>
  `what follows $${name} is its default or its message, as in docker stack deploy; write \${${name}} where it is text`

const FORGIVEN_NOTE =
  'nothing is put there, since a variable after it is fine, as in docker stack deploy'

const interpolateText = (
  text: string,
  path: Path,
  { lookup, note }: { lookup(name: string): string | undefined; note(text: string): void },
): Value => {
  const { text: replaced, forgiven } = at(path, () => substitute(text, lookup))
  for (const message of new Set(forgiven.map((problem) => problem.message))) {
    note(`${pathText(path)}: ${message}; ${FORGIVEN_NOTE}`)
  }
  if (replaced === text) return text
  const cast = castFor(path)
  if (cast === undefined) return replaced
  try {
    return cast(replaced)
  } catch (cause) {
    throw new StackFileProblem(path, `error while interpolating: ${reasonOf(cause)}`, { cause })
  }
}
