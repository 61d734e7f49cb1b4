/** Runs a benchmark; flags that can't be read are one line and the usage, exit code 2. */
export const runMain = async <T>(
  readOptions: () => T,
  usage: string,
  main: (options: T) => Promise<void>,
): Promise<void> => {
  let options: T
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`)
    process.exitCode = 2
    return
  }
  await main(options)
}
