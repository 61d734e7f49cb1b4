import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'

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
