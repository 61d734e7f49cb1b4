/**
 * The store's port to the replicated log. The raft node implements it on a manager, `MemoryProposer` in tests and the simulator.
 */
export interface Proposer {
  /**
   * Resolves with what `StoreState.apply` answered once the command is committed and applied on this manager.
   * @throws SwarmctlError UNAVAILABLE when this manager is not the leader or there is no quorum; DISK_FULL; TIMEOUT when the outcome is unknown
   */
  propose(command: Uint8Array): Promise<{ index: number; result: unknown }>
  /** Resolves once this manager's applied state holds every write that was acknowledged before the call. */
  readBarrier(): Promise<void>
}
