/**
 * `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:+other}`, `${NAME+other}`, `${NAME:?message}`, `${NAME?message}`
 * and `$$`. Everything else after a `$` is an error. As in the docker CLI, a `}` ends the expression whatever it contains: the default of
 * `${A:-${B}}` is `${B`, and the last `}` is text.
 */
export const substitute = (text: string, lookup: (name: string) => string | undefined): string =>
  text.replace(PATTERN, (_, escaped?: string, named?: string, braced?: string) => {
    if (escaped !== undefined) return escaped
    const expression = named ?? braced
    if (expression === undefined) throw new InvalidTemplate(text)
    return evaluate(expression, lookup)
  })

/** Thrown when a `$` starts nothing that this format knows. */
export class InvalidTemplate extends Error {
  override readonly name = 'InvalidTemplate'

  constructor(template: string) {
    super(
      `invalid interpolation format: ${JSON.stringify(template)}; ` +
        'you may need to escape any $ with another $',
    )
  }
}

/** Thrown when `${NAME?message}` finds no NAME. */
export class MissingVariable extends Error {
  override readonly name = 'MissingVariable'

  constructor(name: string, message: string) {
    super(`required variable ${name} is missing a value${message === '' ? '' : `: ${message}`}`)
  }
}

const EXPRESSION = '[_a-z][_a-z0-9]*(?::?[-+?][^}]*)?'
const PATTERN = new RegExp(`\\$(?:(\\$)|(${EXPRESSION})|\\{(${EXPRESSION})\\}|)`, 'gi')
const PARTS = /^([_a-z][_a-z0-9]*)(?:(:?[-+?])(.*))?$/is

const evaluate = (expression: string, lookup: (name: string) => string | undefined): string => {
  const [, name = '', operator = '', argument = ''] = PARTS.exec(expression) ?? []
  const value = lookup(name)
  const missing = value === undefined || (operator.startsWith(':') && value === '')
  if (operator.endsWith('+')) return missing ? '' : argument
  if (!missing || operator === '') return value ?? ''
  if (operator.endsWith('-')) return argument
  throw new MissingVariable(name, argument)
}
