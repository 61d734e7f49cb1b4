/** Characters that tell objects of one key apart, at the end of a name. */
export const SUFFIX_LENGTH = 10

/** What an object of a namespace is called in the cluster: its own name in the namespace `default`. */
export const clusterName = (namespace: string, name: string): string =>
  namespace === 'default' ? name : `${namespace}_${name}`
