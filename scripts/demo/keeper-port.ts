/** What the demo's two processes say to each other. */

/** The keeper's only argument, as JSON. */
export interface KeeperOptions {
  /** Folder of the demo's notes and logs. */
  readonly dir: string
  readonly nodes: number
  /** What to start the demo with in order to take it down. */
  readonly downArgs: readonly string[]
  readonly hasColors: boolean
}

/** From the keeper to the process that the user started. */
export type KeeperMessage =
  | { readonly kind: 'text'; readonly text: string }
  /** The story is over and the swarm runs; `isClean` when every promise held. */
  | { readonly kind: 'end'; readonly isClean: boolean }
  | { readonly kind: 'failed'; readonly message: string }
