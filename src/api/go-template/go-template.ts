import { fieldOf, GoDuration, GoTime, goText, isTrue, sortedEntries } from './go-values.ts'
import { badTemplate } from './template-error.ts'
import type { TemplateFunction } from './template-functions.ts'
import {
  type Branch,
  type Operand,
  type Pipeline,
  parseTemplate,
  type TemplateNode,
} from './template-syntax.ts'

/** Variables by name, with those of the surrounding blocks behind them. */
class Scope {
  readonly #values = new Map<string, unknown>()
  readonly #outer: Scope | undefined

  constructor(outer?: Scope) {
    this.#outer = outer
  }

  declare(name: string, value: unknown): void {
    this.#values.set(name, value)
  }

  assign(name: string, value: unknown): void {
    const scope = this.#holder(name)
    if (!scope) throw badTemplate(`undefined variable "${name}"`)
    scope.#values.set(name, value)
  }

  get(name: string): unknown {
    const scope = this.#holder(name)
    if (!scope) throw badTemplate(`undefined variable "${name}"`)
    return scope.#values.get(name)
  }

  #holder(name: string): Scope | undefined {
    if (this.#values.has(name)) return this
    return this.#outer === undefined ? undefined : this.#outer.#holder(name)
  }
}

/** What one run may do: a manager fills in the templates of specs. */
const STEP_COUNT_MAX = 1_000_000

/** How a list of nodes ended: a range goes on or stops. */
type Outcome = 'done' | 'break' | 'continue'

/** What a template may use. */
export interface TemplateOptions {
  functions: ReadonlyMap<string, TemplateFunction>
  /** A key that a map does not have is an error, as where swarmkit fills in specs; else it prints as `<no value>`. */
  keysMustExist?: boolean
}

/** One run of a template over one value. */
class Run {
  readonly #functions: ReadonlyMap<string, TemplateFunction>
  readonly #keysMustExist: boolean
  #stepCount = 0
  output = ''

  constructor({ functions, keysMustExist = false }: TemplateOptions) {
    this.#functions = functions
    this.#keysMustExist = keysMustExist
  }

  nodes(nodes: readonly TemplateNode[], dot: unknown, scope: Scope): Outcome {
    for (const node of nodes) {
      const outcome = this.#node(node, dot, scope)
      if (outcome !== 'done') return outcome
    }
    return 'done'
  }

  #node(node: TemplateNode, dot: unknown, scope: Scope): Outcome {
    this.#step()
    switch (node.kind) {
      case 'text':
        this.output += node.text
        return 'done'
      case 'print': {
        const value = this.#pipeline(node.pipeline, dot, scope)
        if (node.pipeline.declares.length === 0) this.output += goText(value)
        return 'done'
      }
      case 'if':
      case 'with': {
        const inner = new Scope(scope)
        const value = this.#pipeline(node.pipeline, dot, inner)
        if (!isTrue(value)) return this.nodes(node.otherwise, dot, inner)
        return this.nodes(node.body, node.kind === 'with' ? value : dot, inner)
      }
      case 'range':
        return this.#range(node, dot, scope)
      case 'break':
      case 'continue':
        return node.kind
      default:
        return node satisfies never
    }
  }

  #step(): void {
    this.#stepCount += 1
    if (this.#stepCount > STEP_COUNT_MAX) throw badTemplate(`more than ${STEP_COUNT_MAX} steps`)
  }

  #range(node: Branch, dot: unknown, scope: Scope): Outcome {
    const { pipeline, body, otherwise } = node
    const value = this.#pipeline({ ...pipeline, declares: [] }, dot, scope)
    const members = membersOf(value)
    if (members.length === 0) return this.nodes(otherwise, dot, new Scope(scope))
    for (const [key, member] of members) {
      this.#step()
      const inner = new Scope(scope)
      const [first, second] = pipeline.declares
      if (first !== undefined) inner.declare(first, second === undefined ? member : key)
      if (second !== undefined) inner.declare(second, member)
      if (this.nodes(body, member, inner) === 'break') break
    }
    return 'done'
  }

  #pipeline(pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
    let value: unknown
    for (const [at, command] of pipeline.commands.entries()) {
      value = this.#command(command, at === 0 ? [] : [value], dot, scope)
    }
    for (const name of pipeline.declares) {
      if (pipeline.isAssignment) scope.assign(name, value)
      else scope.declare(name, value)
    }
    return value
  }

  /** `piped` is the value of the command before, which comes last. */
  #command(
    [first, ...rest]: readonly Operand[],
    piped: readonly unknown[],
    dot: unknown,
    scope: Scope,
  ): unknown {
    if (first === undefined) throw badTemplate('a value is missing in a template')
    if (first.kind !== 'function') {
      const value = this.#operand(first, dot, scope)
      const args = [...rest.map((operand) => this.#operand(operand, dot, scope)), ...piped]
      // A method, such as a row's `.Label "key"`.
      if (typeof value === 'function') return value(...args)
      if (args.length > 0) throw badTemplate(`${goText(value)} takes no argument`)
      return value
    }
    if (first.name === 'and' || first.name === 'or') {
      return this.#untilDecided(first.name, rest, piped, dot, scope)
    }
    const args = rest.map((operand) => this.#operand(operand, dot, scope))
    return this.#call(first.name, [...args, ...piped])
  }

  #call(name: string, args: readonly unknown[]): unknown {
    const call = this.#functions.get(name)
    if (!call) throw badTemplate(`there is no function "${name}"`)
    return call(...args)
  }

  #untilDecided(
    name: 'and' | 'or',
    operands: readonly Operand[],
    piped: readonly unknown[],
    dot: unknown,
    scope: Scope,
  ): unknown {
    let value: unknown = piped[0]
    for (const operand of operands) {
      value = this.#operand(operand, dot, scope)
      if (isTrue(value) === (name === 'or')) return value
    }
    return piped.length > 0 ? piped[0] : value
  }

  #operand(operand: Operand, dot: unknown, scope: Scope): unknown {
    switch (operand.kind) {
      case 'dot':
        return this.#follow(dot, operand.path)
      case 'variable':
        return this.#follow(scope.get(operand.name), operand.path)
      case 'literal':
        return operand.value
      case 'function':
        return this.#call(operand.name, [])
      case 'nested':
        return this.#follow(this.#pipeline(operand.pipeline, dot, scope), operand.path)
      default:
        return operand satisfies never
    }
  }

  #follow(value: unknown, path: readonly string[]): unknown {
    return path.reduce((at, name, depth) => {
      const shown = path.slice(0, depth + 1).join('.')
      const member = fieldOf(at, name, shown)
      if (member === undefined && this.#keysMustExist) {
        throw badTemplate(`the map of .${shown} has no entry "${name}"`)
      }
      return member
    }, value)
  }
}

const membersOf = (value: unknown): [key: unknown, member: unknown][] => {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return [...value.entries()]
  if (typeof value === 'number') {
    if (value > STEP_COUNT_MAX) throw badTemplate(`more than ${STEP_COUNT_MAX} steps`)
    return Array.from({ length: Math.max(0, value) }, (_, at) => [at, at])
  }
  const isMap =
    typeof value === 'object' && !(value instanceof GoDuration || value instanceof GoTime)
  if (!isMap) throw badTemplate(`range can't go over ${goText(value)}`)
  return sortedEntries(value)
}

/**
 * A Go `text/template`, as far as formats of the docker CLI and specs use it: fields, pipelines, variables, `if`, `with`, `range`, comparisons,
 * and functions. The values are the API's JSON; a field that Docker leaves out when it is empty is empty, any other that is not
 * there is an error. Thrown, here and when it is filled in: TemplateError with one line.
 */
export const compileTemplate = (
  template: string,
  options: TemplateOptions,
): ((data: unknown) => string) => {
  const nodes = parseTemplate(template)
  return (data) => {
    const run = new Run(options)
    const scope = new Scope()
    scope.declare('$', data)
    run.nodes(nodes, data, scope)
    return run.output
  }
}
