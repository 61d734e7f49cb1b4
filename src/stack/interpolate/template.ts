/**
 * `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:+other}`, `${NAME+other}`, `${NAME:?message}`, `${NAME?message}`
 * and `$$`. Everything else after a `$` is an error. As in the docker CLI, a `}` ends the expression whatever it contains: the default of
 * `${A:-${B}}` is `${B`, and the last `}` is text.
 */
export const substitute = (
  template: string,
  lookup: (name: string) => string | undefined,
): Substituted => {
  const forgiven: Error[] = []
  const problems: Error[] = []
  const text = template.replace(PATTERN, (_, escaped?: string, named?: string, braced?: string) => {
    if (escaped !== undefined) return escaped
    const value = evaluate(named ?? braced, template, lookup)
    if (typeof value !== 'string') {
      problems.push(value)
      return ''
    }
    forgiven.push(...problems.splice(0))
    return value
  })
  const [problem] = problems
  if (problem !== undefined) throw problem
  return { text, forgiven }
}

/** A template with its variables replaced. */
export interface Substituted {
  text: string
  /**
   * What was wrong before a variable that could be replaced: the docker CLI refuses a template only for what is wrong after the last of them, puts
   * nothing in that place, and files that it takes are taken here.
   */
  forgiven: Error[]
}

/** A `$` starts nothing that this format knows. */
export class InvalidTemplate extends Error {
  override readonly name = 'InvalidTemplate'

  constructor(template: string) {
    super(
      `invalid interpolation format: ${JSON.stringify(template)}; ` +
        'you may need to escape any $ with another $',
    )
  }
}

/** `${NAME?message}` finds no NAME. */
export class MissingVariable extends Error {
  override readonly name = 'MissingVariable'

  constructor(name: string, message: string) {
    super(`required variable ${name} is missing a value${message === '' ? '' : `: ${message}`}`)
  }
}

const EXPRESSION = '[_a-z][_a-z0-9]*(?::?[-+?][^}]*)?'
const PATTERN = new RegExp(`\\$(?:(\\$)|(${EXPRESSION})|\\{(${EXPRESSION})\\}|)`, 'gi')
const PARTS = /^([_a-z][_a-z0-9]*)(?:(:?[-+?])(.*))?$/is

const evaluate = (
  expression: string | undefined,
  template: string,
  lookup: (name: string) => string | undefined,
): string | Error => {
  if (expression === undefined) return new InvalidTemplate(template)
  const [, name = '', operator = '', argument = ''] = PARTS.exec(expression) ?? []
  const value = lookup(name)
  const missing = value === undefined || (operator.startsWith(':') && value === '')
  if (operator.endsWith('+')) return missing ? '' : argument
  if (!missing || operator === '') return value ?? ''
  if (operator.endsWith('-')) return argument
  return new MissingVariable(name, argument)
}
