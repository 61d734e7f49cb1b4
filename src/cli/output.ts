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

/** Cuts the widest columns until the table fits the terminal. */
const fit = (widths: number[], columns: number | undefined, gap: number): number[] => {
  if (columns === undefined) return widths
  const fitted = [...widths]
  const total = () => fitted.reduce((sum, width) => sum + width + gap, -gap)
  while (total() > columns) {
    const widest = fitted.indexOf(Math.max(...fitted))
    if ((fitted[widest] as number) <= 8) break
    fitted[widest] = (fitted[widest] as number) - 1
  }
  return fitted
}

/** One object's cells by column name. */
export type Row = Record<string, string>

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`

/** A table with Docker's look: upper-case heads, three spaces between columns, no lines. */
export const renderTable = (heads: string[], rows: Row[], columns?: number): string => {
  const gap = 3
  const cells = rows.map((row) => heads.map((head) => row[head] ?? ''))
  const widths = fit(
    heads.map((head, at) => Math.max(head.length, ...cells.map((row) => row[at]!.length))),
    columns,
    gap,
  )
  const table = new Table({
    ...BORDERLESS,
    chars: { ...BORDERLESS.chars, middle: ' '.repeat(gap) },
  } as ConstructorParameters<typeof Table>[0])
  table.push(heads.map((head, at) => cut(head, widths[at]!)))
  for (const row of cells) table.push(row.map((cell, at) => cut(cell, widths[at]!)))
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

/** Prints a list as asked: ids only, one JSON object a line, a template a line, or a table. */
export const printList = (
  output: Output,
  options: ListOptions,
  heads: string[],
  rows: (Row & { ID: string })[],
): void => {
  if (options.quiet) return output.write(rows.map((row) => `${row.ID}\n`).join(''))
  const format = options.format ?? 'table'
  if (format === 'json') return output.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  if (format !== 'table') {
    const template = format.replace(/^table /, '')
    return output.write(rows.map((row) => `${fillTemplate(template, row)}\n`).join(''))
  }
  output.write(renderTable(heads, rows, output.columns))
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
