import { capability, parseCapabilities, RESET } from '../../stack/parse/capabilities.ts'
import type { Draft } from './draft.ts'

const named = (capabilities: readonly string[]): Set<string> =>
  new Set(capabilities.map(capability))

const listed = (capabilities: ReadonlySet<string>): string[] =>
  parseCapabilities([...capabilities], []).add

/**
 * `--cap-add` and `--cap-drop` of `service create` and `service update`: what is added is not dropped. On update, as with the docker
 * CLI, the one only takes back the other where the service has it, and `RESET` empties its list.
 */
export const applyCapabilities = (
  draft: Draft,
  add: readonly string[],
  drop: readonly string[],
): void => {
  if (add.length === 0 && drop.length === 0) return
  const { container } = draft
  const [toAdd, toDrop] = [named(add), named(drop)]
  const added = toAdd.has(RESET) ? new Set<string>() : named(container.CapabilityAdd ?? [])
  const dropped = toDrop.has(RESET) ? new Set<string>() : named(container.CapabilityDrop ?? [])
  for (const name of toDrop) if (!toAdd.has(name) && !added.delete(name)) dropped.add(name)
  for (const name of toAdd) if (!dropped.delete(name)) added.add(name)
  container.CapabilityAdd = listed(added)
  container.CapabilityDrop = listed(dropped)
}
