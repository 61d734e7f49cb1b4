import type { ConvertedNamespace } from '../../kubernetes/convert-manifests.ts'
import { digestText } from '../../stack/plan/digest.ts'
import { fieldChanges, valueText } from '../../stack/plan/field-changes.ts'
import { withoutEmpty } from '../../stack/plan/without-empty.ts'

/** What manifests become: the API's requests as JSON, or a line a field. In place of secrets' data stands what hides it. */
export const formatBodies = (
  namespaces: readonly ConvertedNamespace[],
  format: 'table' | 'json',
): string => {
  const all = <K extends 'networks' | 'secrets' | 'configs' | 'services'>(kind: K) =>
    namespaces.flatMap((one) => one[kind] as ConvertedNamespace[K][number][])
  if (format === 'json') {
    const bodies = {
      networks: all('networks'),
      secrets: all('secrets').map((secret) => ({ ...secret, Data: hiddenText(secret) })),
      configs: all('configs'),
      services: all('services'),
    }
    return `${JSON.stringify(bodies, null, 2)}\n`
  }
  return [
    ...all('networks').map(({ Name }) => `network ${Name}\n`),
    ...all('secrets').map((secret) => `secret ${secret.Name}\n    Data: ${hiddenText(secret)}\n`),
    ...all('configs').map(({ Name, Data }) => `config ${Name}\n    Data: ${digestText(Data)}\n`),
    ...all('services').map(({ Name, ...body }) => `service ${Name}\n${fieldLines(body)}`),
  ].join('')
}

const hiddenText = ({ Data = '' }: { Data?: string | undefined }): string =>
  Buffer.from(Data, 'base64').toString('utf8')

const fieldLines = (body: object): string =>
  leaves(withoutEmpty(body))
    .map(({ path, after }) => `    ${path}: ${valueText(after)}\n`)
    .join('')

/** Every field by its path. */
const leaves = (body: unknown) => fieldChanges(emptyLike(body), body)

/** Mappings without their leaves, so that a comparison goes down to these. */
const emptyLike = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  if (Object.keys(value).length === 0) return undefined
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, emptyLike(item)]))
}
