/**
 * An `env_file`: `KEY=value` a line, `#` comments, no quotes and no expansion; a bare `KEY` takes its value from the environment and
 * is dropped when that has none. Thrown: an Error naming the line's content.
 */
export const parseEnvFile = (
  text: string,
  lookup: (name: string) => string | undefined,
): Map<string, string> => {
  const variables = new Map<string, string>()
  for (const rawLine of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const line = rawLine.trimStart()
    if (line === '' || line.startsWith('#')) continue
    const equals = line.indexOf('=')
    const key = equals === -1 ? line : line.slice(0, equals)
    if (key === '') throw new Error(`no variable name on line '${line}'`)
    if (/[ \t]/.test(key)) throw new Error(`variable '${key}' contains whitespaces`)
    const value = equals === -1 ? lookup(key) : line.slice(equals + 1)
    if (value !== undefined) variables.set(key, value)
  }
  return variables
}
