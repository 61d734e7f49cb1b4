import { base64In } from './base64.ts'
import type { Manifest } from './manifest.ts'

/**
 * The manifests with another content in their Secrets: `hide` makes it from the real one, given in base64. Whatever is made of them (files, variables,
 * words of a command) then has none of it, by whichever way it got there. An empty text is left, and what is not base64, which is refused.
 */
export const withHiddenSecrets = (
  manifests: readonly Manifest[],
  hide: (base64: string) => string,
): Manifest[] =>
  manifests.map((manifest) => {
    if (manifest.kind !== 'Secret') return manifest
    const { data, stringData } = manifest.tree
    const tree = {
      ...manifest.tree,
      ...('data' in manifest.tree && {
        data: mapTexts(data, (one) => (base64In(one) ? base64Of(hide(one)) : one)),
      }),
      ...('stringData' in manifest.tree && {
        stringData: mapTexts(stringData, (one) => (one === '' ? one : hide(base64Of(one)))),
      }),
    }
    return { ...manifest, tree }
  })

const base64Of = (text: string): string => Buffer.from(text).toString('base64')

/** Texts of a mapping; what is no text is left to be refused where the object is checked. */
const mapTexts = (value: unknown, change: (text: string) => string): unknown =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? value
    : Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          key,
          typeof item === 'string' ? change(item) : item,
        ]),
      )
