import { z } from 'zod'

const BOUND = 2 ** 63

/**
 * A number of Go's `int64`, as durations are: a year has more nanoseconds than 2^53. That a body's number is kept as it was written is
 * seen to where bodies are read (`src/http/body.ts`).
 */
export const int64 = z
  .number()
  .refine(Number.isInteger, 'Invalid input: expected int')
  .min(-BOUND)
  .lt(BOUND)
