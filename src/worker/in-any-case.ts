/** Takes each step after the one before, also when that failed: for what ends. @throws what the first that failed threw */
export const inAnyCase = async (...steps: readonly (() => Promise<unknown>)[]): Promise<void> => {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
