/** On every object of a stack: its name. */
export const NAMESPACE_LABEL = 'com.docker.stack.namespace'
/** On a service of a stack: the image as the file names it, without digest. */
export const IMAGE_LABEL = 'com.docker.stack.image'

/** What `key` of a file is called in the cluster: its own `name`, else `STACK_KEY`. */
export const clusterName = (
  namespace: string,
  key: string,
  own?: { name?: string } | undefined,
): string => (own?.name ? own.name : `${namespace}_${key}`)

/** `labels` with the stack's own. */
export const withStackLabel = (
  namespace: string,
  labels: Readonly<Record<string, string>> | undefined,
): Record<string, string> => ({ ...labels, [NAMESPACE_LABEL]: namespace })
