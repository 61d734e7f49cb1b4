import type { CredentialsPem } from '../../../src/pki/credentials.ts'

/** What a member without a daemon is made of. */
export interface BareStart {
  readonly id: string
  /** host:port by member. */
  readonly addrs: Readonly<Record<string, string>>
  /** The first members. */
  readonly voters: readonly string[]
  readonly directory: string
  readonly credentials: CredentialsPem
  /** Whether commands are the store's transactions, or are only counted. */
  readonly hasStore: boolean
}

export type BareJob =
  | { readonly kind: 'start'; readonly start: BareStart }
  | { readonly kind: 'role' }
  | { readonly kind: 'propose'; readonly clients: number; readonly ms: number }
  | { readonly kind: 'seed'; readonly count: number }
  | {
      readonly kind: 'add-member'
      readonly id: string
      readonly addr: string
      readonly clients: number
    }
  /** Measures this process's pauses from here on. */
  | { readonly kind: 'watch-pauses' }
  | { readonly kind: 'pauses' }

/** How long an event loop stood still. */
export interface Pauses {
  readonly p99Ms: number
  readonly maxMs: number
}

export type BareAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'role'; readonly isLeader: boolean }
  | { readonly kind: 'count'; readonly count: number }
  | {
      readonly kind: 'added'
      readonly pauses: Pauses
      readonly tookMs: number
      readonly writesPerSecond: number
    }
  | { readonly kind: 'pauses'; readonly pauses: Pauses }
  | { readonly kind: 'failed'; readonly message: string }
