/** One peer's end of a connection: takes messages of framed datagrams. */
export interface RelayStream {
  /** Resolves when there is room for more. Rejects when the stream is over. */
  send(message: Buffer): Promise<void>
  close(): void
  /** Resolves, and never rejects, when it is over. */
  readonly closed: Promise<void>
}

/** The way to the relays of other nodes: over mutual TLS with the cluster's certificates, each end proven to be the node that it says. */
export interface RelayLink {
  /** Rejects when the node can't be reached; attempts are spaced by who implements this. */
  open(nodeId: string): Promise<RelayStream>
}
