import { substitute } from '../interpolate/template.ts'

/** What a `.env` file says, and the numbers of the lines that say nothing. */
export interface DotEnv {
  variables: Record<string, string>
  ignoredLines: number[]
}

const LINE =
  /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*[=:][ \t]*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\n]*?))[ \t]*(?:[ \t]#[^\n]*)?$/

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/**
 * A `.env` file as Compose reads it: `KEY=value` or `KEY: value` a line, `export` allowed, single quotes as they stand, double quotes with escapes (and
 * over several lines), ` #` starts a comment, variables of `outer` and of earlier lines are filled in. Lines of no sense are told.
 */
export const parseDotEnv = (
  text: string,
  outer: Readonly<Record<string, string | undefined>>,
): DotEnv => {
  const variables: Record<string, string> = {}
  const ignoredLines: number[] = []
  const lookUp = (name: string): string | undefined =>
    Object.hasOwn(outer, name) ? outer[name] : variables[name]
  for (const { line, number } of logicalLines(text.replace(/^\uFEFF/, ''))) {
    if (/^\s*(#|$)/.test(line)) continue
    // A name alone is one that has its value from outside, or none.
    const bare = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*$/.exec(line)?.[1]
    if (bare !== undefined) {
      const value = lookUp(bare)
      if (value !== undefined) variables[bare] = value
      continue
    }
    const [, key, single, double, plain = ''] = LINE.exec(line) ?? []
    if (key === undefined) {
      ignoredLines.push(number)
      continue
    }
    try {
      const value = double === undefined ? plain : withEscapes(double)
      const { text: filled, forgiven } = substitute(value, lookUp)
      if (forgiven[0] !== undefined) throw forgiven[0]
      variables[key] = single?.replaceAll("\\'", "'") ?? filled
    } catch {
      ignoredLines.push(number)
    }
  }
  return { variables, ignoredLines }
}

const withEscapes = (text: string): string =>
  text.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? (letter === '$' ? '$$' : letter))

/** Lines, those with a quote that is still open joined with the next ones. */
function* logicalLines(text: string): Iterable<{ line: string; number: number }> {
  let open = ''
  let start = 1
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (open === '') start = index + 1
    open = open === '' ? line : `${open}\n${line}`
    if (isOpen(open)) continue
    yield { line: open, number: start }
    open = ''
  }
  if (open !== '') yield { line: open, number: start }
}

const isOpen = (line: string): boolean =>
  /^\s*(?:export\s+)?[\w.-]+\s*[=:][ \t]*(?:"(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*)$/s.test(line)
