/** What every stored object has. */
export interface Meta {
  /** 25 characters of base 36; for a node, also its certificate's common name. */
  ID: string
  /** Index of the log entry that wrote the object last. */
  Version: { Index: number }
  /** RFC 3339 with fraction, UTC. Times travel in the command; apply never reads a clock. */
  CreatedAt: string
  UpdatedAt: string
}

/** Names with `key: value` labels. */
export interface Annotations {
  Name: string
  Labels: Record<string, string>
}
