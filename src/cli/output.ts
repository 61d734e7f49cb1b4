import Table from 'cli-table3'

/** Where a command prints. Tests pass their own. */
export interface Output {
  write(text: string): void
  writeError(text: string): void
  /** Columns of the terminal, undefined when it is none. */
  columns: number | undefined
  isTerminal: boolean
}

const BORDERLESS = {
  chars: Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
    ].map((name) => [name, '']),
  ),
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
}

/** Spaces between columns. */
const GAP = 3
/** Columns after the first two (what a thing is called) are cut to this before those are. */
const WIDTH_MIN = 6

const total = (widths: readonly number[]): number =>
  widths.reduce((sum, width) => sum + width + GAP, -GAP)

/** Cuts the widest of the columns from `first` on, none below `min`, until the table fits. */
const cutWidest = (
  widths: readonly number[],
  columns: number,
  first: number,
  min: number,
): number[] => {
  const fitted = [...widths]
  while (total(fitted) > columns) {
    const widest = Math.max(...fitted.slice(first))
    if (widest <= min) break
    fitted[fitted.indexOf(widest, first)] = widest - 1
  }
  return fitted
}

const fit = (widths: number[], columns: number): number[] =>
  cutWidest(cutWidest(widths, columns, 2, WIDTH_MIN), columns, 0, 1)

/** One object's cells by column name. */
export type Row = Record<string, string>

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`

const widthOf = (title: string, head: string, rows: readonly Row[]): number =>
  rows.reduce((widest, row) => Math.max(widest, (row[head] ?? '').length), title.length)

/**
 * A table with Docker's look: upper-case heads, three spaces between columns, no lines. In a terminal that is too narrow columns
 * without content go first, then the widest are cut. `titleOf` is what stands above a column, its head by default.
 */
export const renderTable = (
  heads: string[],
  rows: Row[],
  columns?: number,
  titleOf: (head: string) => string = (head) => head,
): string => {
  const widthsOf = (shown: readonly string[]) =>
    shown.map((head) => widthOf(titleOf(head), head, rows))
  const isWide = columns === undefined || total(widthsOf(heads)) <= columns
  const shown = isWide
    ? heads
    : heads.filter((head, at) => at < 2 || rows.some((row) => (row[head] ?? '') !== ''))
  const widths = isWide ? widthsOf(shown) : fit(widthsOf(shown), columns)
  const table = new Table({
    ...BORDERLESS,
    chars: { ...BORDERLESS.chars, middle: ' '.repeat(GAP) },
  } as ConstructorParameters<typeof Table>[0])
  table.push(shown.map((head, at) => cut(titleOf(head), widths[at]!)))
  for (const row of rows) table.push(shown.map((head, at) => cut(row[head] ?? '', widths[at]!)))
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}
