type Tree = Record<string, unknown>

/** What tools of Kubernetes write for themselves. */
const OWN =
  /^(kubectl\.kubernetes\.io|deployment\.kubernetes\.io|deprecated\.daemonset\.template)\//
/** Annotations that a note names. */
const NAMED_MAX = 3

/** Says of an object's annotations, those of its pods' templates too, that nothing here reads them. Undefined without any. */
export const annotationsNote = (tree: Tree): string | undefined => {
  const names = [...new Set(annotationsOf(tree))].filter((name) => !OWN.test(name))
  if (names.length === 0) return undefined
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : ''
  return `annotations are not taken: ${names.slice(0, NAMED_MAX).join(', ')}${more}`
}

const annotationsOf = (value: unknown): string[] => {
  if (!isTree(value)) return []
  const { metadata, spec } = value
  const own = isTree(metadata) && isTree(metadata.annotations) ? metadata.annotations : {}
  const inner = isTree(spec) ? [spec.template, spec.jobTemplate].flatMap(annotationsOf) : []
  return [...Object.keys(own), ...inner]
}

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
