import type { Schema } from '../../../src/stack/schema/schema.ts'
import { isMap, type Value } from '../../../src/stack/value.ts'

/** Every key and every form that a schema has: `services.*.ports.[] as mapping`. */
export const formsOf = (schema: Schema, path = ''): string[] => {
  switch (schema.kind) {
    case 'any':
      return [`${path} as anything`]
    case 'scalar':
      return (schema.choices ?? schema.types).map((form) => `${path} as ${form}`)
    case 'list':
      return [`${path} as list`, ...formsOf(schema.items, `${path}.[]`)]
    case 'map':
      return [`${path} as mapping`, ...formsOf(schema.values, `${path}.*`)]
    case 'record':
      return [
        `${path} as mapping`,
        ...Object.entries(schema.fields).flatMap(([key, field]) =>
          formsOf(field, path === '' ? key : `${path}.${key}`),
        ),
      ]
    case 'either':
      return schema.options.flatMap((option) => formsOf(option, path))
    default:
      return schema satisfies never
  }
}

/** Those of them that a value uses. The value is one that the schema takes. */
export const formsIn = (schema: Schema, value: Value, path = ''): string[] => {
  switch (schema.kind) {
    case 'any':
      return [`${path} as anything`]
    case 'scalar':
      return schema.choices === undefined
        ? [`${path} as ${typeName(value, schema.types)}`]
        : [`${path} as ${String(value)}`]
    case 'list':
      return Array.isArray(value)
        ? [`${path} as list`, ...value.flatMap((item) => formsIn(schema.items, item, `${path}.[]`))]
        : []
    case 'map':
      return isMap(value)
        ? [
            `${path} as mapping`,
            ...Object.values(value).flatMap((item) => formsIn(schema.values, item, `${path}.*`)),
          ]
        : []
    case 'record':
      return isMap(value)
        ? [
            `${path} as mapping`,
            ...Object.entries(value).flatMap(([key, item]) => {
              const field = schema.fields[key]
              return field === undefined
                ? []
                : formsIn(field, item, path === '' ? key : `${path}.${key}`)
            }),
          ]
        : []
    case 'either': {
      const option = schema.options.find((candidate) => hasType(candidate, value))
      return option === undefined ? [] : formsIn(option, value, path)
    }
    default:
      return schema satisfies never
  }
}

const typeName = (value: Value, types: readonly string[]): string => {
  if (value === null) return 'null'
  if (typeof value === 'bigint') return types.includes('integer') ? 'integer' : 'number'
  return typeof value
}

const hasType = (schema: Schema, value: Value): boolean => {
  switch (schema.kind) {
    case 'any':
      return true
    case 'scalar':
      return schema.types.some((type) => type === typeName(value, schema.types))
    case 'list':
      return Array.isArray(value)
    case 'map':
    case 'record':
      return isMap(value)
    case 'either':
      return schema.options.some((option) => hasType(option, value))
    default:
      return schema satisfies never
  }
}
