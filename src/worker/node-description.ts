import type { NodeDescription } from '../api/node.ts'
import type { EngineFacts } from './executor.ts'

/** What the daemon knows of its node besides the Engine. */
export type LocalFacts = Omit<NodeDescription['Swarmctl'], 'EngineError'> & {
  TLSInfo?: NodeDescription['TLSInfo']
}

/** How a node describes itself. `engineError`: empty while the Engine answers; its facts are then the last known ones. */
export const nodeDescription = (
  engine: EngineFacts,
  local: LocalFacts,
  engineError: string,
): NodeDescription => {
  const { TLSInfo, ...facts } = local
  return {
    ...engine,
    ...(TLSInfo === undefined ? {} : { TLSInfo }),
    Swarmctl: { ...facts, EngineError: engineError },
  }
}
