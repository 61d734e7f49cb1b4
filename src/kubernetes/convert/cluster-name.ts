/** What an object of a namespace is called in the cluster: its own name in the namespace `default`. */
export const clusterName = (namespace: string, name: string): string =>
  namespace === 'default' ? name : `${namespace}_${name}`
