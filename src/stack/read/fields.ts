import assert from 'node:assert/strict'
import { flagOf } from '../schema/field-types.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { entry, isMap, type Path, scalarText, type Value, type ValueMap } from '../value.ts'

/**
 * Typed reads of one mapping whose types the schema has checked: a wrong type here is a mistake of ours. An absent key, and an
 * explicit `null`, read as undefined.
 */
export class Fields {
  readonly map: ValueMap
  readonly path: Path

  constructor(value: Value | undefined, path: Path) {
    assert(value === null || isMap(value), `${path.join('.')} was checked to be a mapping`)
    this.map = value ?? {}
    this.path = path
  }

  at(key: string): Path {
    return [...this.path, key]
  }

  value(key: string): Value | undefined {
    return entry(this.map, key) ?? undefined
  }

  text(key: string): string | undefined {
    const value = this.value(key)
    assert(value === undefined || typeof value === 'string', `${key} was checked to be a string`)
    return value
  }

  flag(key: string): boolean | undefined {
    const value = this.value(key)
    const flag = typeof value === 'string' ? flagOf(value) : value
    assert(flag === undefined || typeof flag === 'boolean', `${key} was checked to be a boolean`)
    return flag
  }

  number(key: string): number | undefined {
    const value = this.value(key)
    if (value === undefined) return undefined
    assert(typeof value !== 'boolean' && typeof value !== 'object', `${key} was checked`)
    return Number(value)
  }

  /** A number or a text, as text. */
  scalar(key: string): string | undefined {
    const value = this.value(key)
    if (value === undefined) return undefined
    assert(value === null || typeof value !== 'object', `${key} was checked to be a scalar`)
    return scalarText(value)
  }

  /** A count: whole, not negative. */
  count(key: string): number | undefined {
    const value = this.number(key)
    if (value === undefined) return undefined
    if (value < 0 || !Number.isSafeInteger(value)) {
      throw new StackFileProblem(this.at(key), `${value} is out of range`)
    }
    return value
  }

  /** A scalar that `parse` turns into something; its errors get this place. */
  parsed<T>(key: string, parse: (text: string) => T): T | undefined {
    const value = this.scalar(key)
    return value === undefined ? undefined : at(this.at(key), () => parse(value))
  }

  list(key: string): Value[] | undefined {
    const value = this.value(key)
    assert(value === undefined || Array.isArray(value), `${key} was checked to be a list`)
    return value
  }

  texts(key: string): string[] | undefined {
    const value = this.value(key)
    return typeof value === 'string' ? [value] : this.list(key)?.map(String)
  }

  fields(key: string): Fields | undefined {
    const value = this.value(key)
    return value === undefined ? undefined : new Fields(value, this.at(key))
  }

  /** A list of mappings. */
  records(key: string): Fields[] | undefined {
    return this.list(key)?.map((item, index) => new Fields(item, [...this.at(key), index]))
  }

  /** A mapping of scalars as text; null becomes `''`. */
  options(key: string): Record<string, string> | undefined {
    return this.fields(key)?.pairs('')
  }

  /** A mapping, or a list of `KEY=value`, as a mapping; a key without value gets `''`. */
  labels(key: string): Record<string, string> | undefined {
    const pairs = this.environment(key)
    if (pairs === undefined) return undefined
    return Object.fromEntries(Object.entries(pairs).map(([name, value]) => [name, value ?? '']))
  }

  /** As `labels`, but a key without value gets null. */
  environment(key: string): Record<string, string | null> | undefined {
    const value = this.value(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) return new Fields(value, this.at(key)).pairs(null)
    return Object.fromEntries(
      value.map(String).map((item) => {
        const equals = item.indexOf('=')
        return equals === -1 ? [item, null] : [item.slice(0, equals), item.slice(equals + 1)]
      }),
    )
  }

  /** Every entry, as text. */
  pairs<Empty>(empty: Empty): Record<string, string | Empty> {
    return Object.fromEntries(
      Object.entries(this.map).map(([name, value]) => {
        assert(value === null || typeof value !== 'object', `${name} was checked to be a scalar`)
        return [name, value === null ? empty : scalarText(value)]
      }),
    )
  }

  /** Every entry as a mapping, read by `read`. */
  each<T>(read: (fields: Fields, name: string) => T): Record<string, T> {
    return Object.fromEntries(
      Object.entries(this.map).map(([name, value]) => [
        name,
        read(new Fields(value, this.at(name)), name),
      ]),
    )
  }

  /** The entries that `select` takes, as they stand; undefined when there are none. */
  rest(select: (key: string) => boolean): ValueMap | undefined {
    const entries = Object.entries(this.map).filter(([key]) => select(key))
    return entries.length === 0 ? undefined : Object.fromEntries(entries)
  }
}
