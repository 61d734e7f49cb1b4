import { customAlphabet } from 'nanoid'

/** Produces a new object id: 25 characters of base 36, as swarmkit's `identity.NewID`. Injected where ids are made. */
export type NewId = () => string

/** The real id source (cryptographically random). The simulator passes its own. */
export const newId: NewId = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', 25)
