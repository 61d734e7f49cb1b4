import { normalArchitecture } from './constraint.ts'
import type { Node } from './node.ts'
import type { TaskSpec } from './service-spec.ts'

/** Whether the node is of a platform that the task's image is for; an image of which nobody knows is for all. */
export const hasPlatform = ({ Placement }: TaskSpec, { Description }: Node): boolean => {
  const platforms = Placement?.Platforms ?? []
  const { OS, Architecture } = Description.Platform
  return (
    platforms.length === 0 ||
    platforms.some(
      (wanted) =>
        (!wanted.OS || wanted.OS.toLowerCase() === OS.toLowerCase()) &&
        (!wanted.Architecture ||
          normalArchitecture(wanted.Architecture) === normalArchitecture(Architecture)),
    )
  )
}

/**
 * Which of the nodes that meet a global service's constraints it may run on: those of its image's platforms. Where there is none at all it is all of
 * them, so that there are tasks to say why none of them runs.
 */
export const ofPlatform = (spec: TaskSpec, nodes: readonly Node[]): readonly Node[] => {
  const fit = nodes.filter((node) => hasPlatform(spec, node))
  return fit.length > 0 ? fit : nodes
}
