import { ELECTION_MUTATIONS } from './election-mutations.ts'
import { MEMBERSHIP_MUTATIONS } from './membership-mutations.ts'
import type { Mutation } from './mutation.ts'
import { READ_MUTATIONS } from './read-mutations.ts'
import { REPLICATION_MUTATIONS } from './replication-mutations.ts'
import { STORAGE_MUTATIONS } from './storage-mutations.ts'

/** Every defect that the simulation must find. */
export const MUTATIONS: readonly Mutation[] = [
  ...ELECTION_MUTATIONS,
  ...REPLICATION_MUTATIONS,
  ...READ_MUTATIONS,
  ...MEMBERSHIP_MUTATIONS,
  ...STORAGE_MUTATIONS,
]
