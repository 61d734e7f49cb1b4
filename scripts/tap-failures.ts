/** Lines shown of what a failed assertion says of itself. */
const DETAIL_LINES_MAX = 25
/** Failures shown of a run: who breaks everything needs no list. */
const FAILURES_MAX = 20
/** In a file; the lines at the margin are files. */
const FAILED = /^( {4,})not ok \d+ - (.*)$/
/** A subtest, which fails because of what is in it. */
const IS_SUBTEST = / # time=[\d.]+ms$/
const FIELDS_SHOWN =
  /^(?:diff|cause|message|found|wanted|pattern|expected|actual|error|code|stdout|stderr):/

/** A failed assertion of what must hold in each single run, by the beginning of its title. */
const UNSAFE = /^ {4,}not ok \d+ - safety: /m

/** Whether a run broke a promise that no second attempt makes whole: what was lost once was lost. Pure. */
export const isUnsafe = (tap: string): boolean => UNSAFE.test(tap)

/**
 * The failed assertions of a run, from its TAP: file, subtests, title, and where it is and what was expected of it. tap's reporters are
 * silent about them where they think that they run in CI. Pure.
 */
export function tapFailures(tap: string): string[] {
  const failures: string[] = []
  const lines = tap.split('\n')
  const path: string[] = []
  for (const [at, line] of lines.entries()) {
    const subtest = /^( *)# Subtest: (.*)$/.exec(line)
    if (subtest !== null) {
      path.length = (subtest[1] ?? '').length / 4
      path.push(subtest[2] ?? '')
    }
    const failed = FAILED.exec(line)
    if (failed === null) continue
    const [, indent = '', title = ''] = failed
    if (IS_SUBTEST.test(title)) continue
    const where = path.slice(0, indent.length / 4)
    failures.push(
      [[...where, title].join(' > '), ...details(lines, at + 1, indent.length)].join('\n'),
    )
  }
  if (failures.length <= FAILURES_MAX) return failures
  const left = failures.length - FAILURES_MAX
  return [...failures.slice(0, FAILURES_MAX), `and ${left} more`]
}

/** Of the YAML below an assertion: its place in the file and what differs. */
function details(lines: readonly string[], from: number, indentChars: number): string[] {
  const margin = ' '.repeat(indentChars + 2)
  if (lines[from] !== `${margin}---`) return []
  const end = lines.indexOf(`${margin}...`, from)
  const shown: string[] = []
  let isShown = false
  for (const line of lines.slice(from + 1, end)) {
    const text = line.slice(margin.length)
    if (/^\S/.test(text)) isShown = FIELDS_SHOWN.test(text)
    if (isShown || /^ {2}lineNumber:/.test(text)) shown.push(`    ${text.trimEnd()}`)
  }
  return shown.slice(0, DETAIL_LINES_MAX)
}
