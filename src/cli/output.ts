import Table from 'cli-table3'
import type { Command } from 'commander'
import { SwarmctlError } from '../api/errors.ts'

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

const widthOf = (head: string, rows: readonly Row[]): number =>
  Math.max(head.length, ...rows.map((row) => (row[head] ?? '').length))

/**
 * A table with Docker's look: upper-case heads, three spaces between columns, no lines. In a terminal that is too narrow columns
 * without content go first, then the widest are cut.
 */
export const renderTable = (heads: string[], rows: Row[], columns?: number): string => {
  const widthsOf = (shown: readonly string[]) => shown.map((head) => widthOf(head, rows))
  const isWide = columns === undefined || total(widthsOf(heads)) <= columns
  const shown = isWide
    ? heads
    : heads.filter((head, at) => at < 2 || rows.some((row) => (row[head] ?? '') !== ''))
  const widths = isWide ? widthsOf(shown) : fit(widthsOf(shown), columns)
  const table = new Table({
    ...BORDERLESS,
    chars: { ...BORDERLESS.chars, middle: ' '.repeat(GAP) },
  } as ConstructorParameters<typeof Table>[0])
  table.push(shown.map((head, at) => cut(head, widths[at]!)))
  for (const row of rows) table.push(shown.map((head, at) => cut(row[head] ?? '', widths[at]!)))
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** `--format` and `-q`, the same on every list. */
export interface ListOptions {
  quiet?: boolean
  format?: string
}

/** Adds `--format json` and `-q` to a list command. */
export const withListOptions = (command: Command): Command =>
  command
    .option('-q, --quiet', 'Only display IDs')
    .option(
      '--format <format>',
      'Format of the output: "table", "json" (one object a line), or a template such as "{{.ID}} {{.Name}}"',
      'table',
    )

/** Fills `{{.Field}}` places from a row whose heads are matched without case, spaces and dashes. */
export const fillTemplate = (template: string, fields: Record<string, unknown>): string => {
  const byName = new Map(
    Object.entries(fields).map(([key, value]) => [
      key.toLowerCase().replace(/[^a-z0-9]/g, ''),
      value,
    ]),
  )
  return template
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n')
    .replace(/\{\{\s*(json\s+)?\.([\w.]*)\s*\}\}/g, (_, json: string | undefined, path: string) => {
      const value =
        path === ''
          ? fields
          : (byName.get(path.toLowerCase()) ??
            path
              .split('.')
              .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], fields))
      if (value === undefined) {
        throw new SwarmctlError('INVALID_ARGUMENT', `invalid --format: there is no field .${path}`)
      }
      return json || typeof value === 'object' ? JSON.stringify(value) : String(value)
    })
}

/** `DESIRED STATE` as Docker's formats name it: `DesiredState`. */
const fieldName = (head: string): string =>
  head === 'ID' || head === 'NETWORK ID'
    ? 'ID'
    : head.replace(
        /(\w)(\w*) ?/g,
        (_, first: string, rest: string) => `${first}${rest.toLowerCase()}`,
      )

const jsonLine = (heads: readonly string[], row: Row & { ID: string }): string =>
  `${JSON.stringify({ ID: row.ID, ...Object.fromEntries(heads.map((head) => [fieldName(head), row[head] ?? ''])) })}\n`

/** `table {{.Name}}\t{{.Ports}}`: a table of what the template names, with heads. */
const templateTable = (
  template: string,
  heads: readonly string[],
  rows: readonly Row[],
  columns: number | undefined,
): string => {
  const titles = Object.fromEntries(heads.map((head) => [head, head]))
  const cells = template.split(/\\t|\t/)
  const shown = cells.map((cell) => fillTemplate(cell, { ID: 'ID', ...titles }))
  const filled = rows.map((row) =>
    Object.fromEntries(cells.map((cell, at) => [shown[at]!, fillTemplate(cell, row)])),
  )
  return renderTable(shown, filled, columns)
}

/** Prints a list as asked: ids only, one JSON object a line, a template a line, or a table. */
export const printList = (
  output: Output,
  options: ListOptions,
  heads: string[],
  rows: (Row & { ID: string })[],
): void => {
  if (options.quiet) return output.write(rows.map((row) => `${row.ID}\n`).join(''))
  const format = options.format ?? 'table'
  if (format === 'json') return output.write(rows.map((row) => jsonLine(heads, row)).join(''))
  if (format === 'table') return output.write(renderTable(heads, rows, output.columns))
  if (format.startsWith('table ')) {
    return output.write(templateTable(format.slice(6), heads, rows, output.columns))
  }
  output.write(rows.map((row) => `${fillTemplate(format, row)}\n`).join(''))
}

/** Prints inspected objects: indented JSON, or a template for each. */
export const printInspected = (
  output: Output,
  format: string | undefined,
  objects: unknown[],
): void => {
  if (format === undefined || format === 'json') {
    output.write(`${JSON.stringify(objects, null, format === 'json' ? undefined : 4)}\n`)
    return
  }
  for (const object of objects) {
    output.write(`${fillTemplate(format, object as Record<string, unknown>)}\n`)
  }
}
