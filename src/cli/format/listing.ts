import type { Command } from 'commander'
import { sortedEntries } from '../../api/go-template/go-values.ts'
import { HEAD_FUNCTIONS } from '../../api/go-template/template-functions.ts'
import { shortIdOf } from '../../api/short-id.ts'
import type { Output, Row } from '../output.ts'
import { renderTable } from '../output.ts'
import { compileFormat } from './compile-format.ts'

/** Flags that every list has. */
export interface ListOptions {
  quiet?: boolean
  format?: string
  /** False with `--no-trunc`. */
  trunc?: boolean
}

/** A column of the table that is shown without `--format`. */
export interface Column {
  head: string
  /** The field that it shows, as templates name it. */
  field: string
}

/** One object of a list. */
export interface ListRow {
  /** What `-q` prints. */
  id: string
  /** What templates and JSON have: Docker's names, texts as Docker shows them. Functions are methods, such as `.Label "key"`. */
  fields: Record<string, unknown>
  /** Where the table shows something else than the field, by head. */
  cells?: Row
}

/** Heads of the fields that no table shows by itself, where Docker's are not the name in capitals. */
const HEADS: Record<string, string> = {
  CreatedAt: 'CREATED',
  UpdatedAt: 'UPDATED',
  ID: 'ID',
  IPv4: 'IPV4',
  IPv6: 'IPV6',
}

/** An id as lists show it. */
export const shortId = (id: string, options: ListOptions): string =>
  options.trunc === false ? id : shortIdOf(id)

/** An image as lists show it: without its digest where a tag says what it is, unless everything is asked for. */
export const shortImage = (image: string, options: ListOptions): string =>
  options.trunc === false ? image : image.replace(/(:[^/:@]+)@sha256:.*/, '$1')

/** Labels as templates have them: `.Labels` as text, `.Label "key"` for one. */
export const labelFields = (labels: Readonly<Record<string, string>> | null | undefined) => ({
  Labels: Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(','),
  Label: (key: unknown) => labels?.[String(key)] ?? '',
})

/** Adds `-q`, `--format` and `--no-trunc` to a list command. */
export const withListOptions = (command: Command): Command =>
  command
    .option('-q, --quiet', 'Only display IDs')
    .option(
      '--format <format>',
      'Format of the output: "table", "json" (one object a line), a Go template such as "{{.ID}} {{.Name}}", or "table" and a template',
      'table',
    )
    .option('--no-trunc', 'Do not cut ids, images and errors')

const plainTable = (columns: readonly Column[], rows: readonly ListRow[], width?: number) =>
  renderTable(
    columns.map(({ head }) => head),
    rows.map(({ fields, cells }) =>
      Object.fromEntries(
        columns.map(({ head, field }) => [head, cells?.[head] ?? String(fields[field] ?? '')]),
      ),
    ),
    width,
  )

const upperWords = (field: string): string =>
  field.replace(/([a-z])([A-Z])/g, '$1 $2').toUpperCase()

/** `\t` and `\n` in a format are what they stand for, as in Docker. */
const unescaped = (template: string): string =>
  template.replaceAll('\\t', '\t').replaceAll('\\n', '\n')

/** A row as templates see it: in the order of names, and its methods are none of the fields that `{{.}}` and `{{json .}}` show. */
const templateData = ({ fields }: ListRow): object => {
  const data = {}
  for (const [name, value] of sortedEntries(fields)) {
    Object.defineProperty(data, name, { value, enumerable: typeof value !== 'function' })
  }
  return data
}

/** `table {{.Name}}\t{{.Ports}}`: a table of what the template names, with heads. */
const templateTable = (
  template: string,
  columns: readonly Column[],
  rows: readonly ListRow[],
  width: number | undefined,
): string => {
  const own = Object.fromEntries(columns.map(({ head, field }) => [field, head]))
  const fields = new Set([...Object.keys(own), ...rows.flatMap((row) => Object.keys(row.fields))])
  const titles = Object.fromEntries(
    [...fields].map((field) => [field, own[field] ?? HEADS[field] ?? upperWords(field)]),
  )
  const heads = compileFormat(
    template,
    HEAD_FUNCTIONS,
  )({
    ...titles,
    Label: (key: unknown) => String(key).replaceAll(/[_.-]/g, ' '),
  }).split('\t')
  const fill = compileFormat(template)
  // Two columns may have the same head: they are told apart by place.
  const keys = heads.map((head, at) => `${at}\0${head}`)
  const filled = rows.map((row) => {
    const cells = fill(templateData(row)).split('\t')
    return Object.fromEntries(keys.map((key, at) => [key, cells[at] ?? '']))
  })
  return renderTable(keys, filled, width, (key) => key.slice(key.indexOf('\0') + 1))
}

/** Prints a list as asked: ids only, one JSON object a line, a template a line, or a table. */
export const printListing = (
  output: Output,
  options: ListOptions,
  columns: readonly Column[],
  rows: readonly ListRow[],
): void => {
  if (options.quiet) return output.write(rows.map((row) => `${row.id}\n`).join(''))
  const format = (options.format || 'table').trim()
  const width = options.trunc === false ? undefined : output.columns
  if (format === 'json') {
    return output.write(
      rows
        .map(({ fields }) => `${JSON.stringify(Object.fromEntries(sortedEntries(fields)))}\n`)
        .join(''),
    )
  }
  if (format === 'table') return output.write(plainTable(columns, rows, width))
  if (/^table\s/.test(format)) {
    return output.write(templateTable(unescaped(format.slice(6).trim()), columns, rows, width))
  }
  const fill = compileFormat(unescaped(format))
  output.write(rows.map((row) => `${fill(templateData(row))}\n`).join(''))
}

/** Prints inspected objects: indented JSON, or a template for each. */
export const printInspected = (
  output: Output,
  format: string | undefined,
  objects: readonly unknown[],
): void => {
  if (format === undefined || format === '' || format === 'json') {
    output.write(`${JSON.stringify(objects, null, format === 'json' ? undefined : 4)}\n`)
    return
  }
  const fill = compileFormat(unescaped(format))
  for (const object of objects) output.write(`${fill(object)}\n`)
}
