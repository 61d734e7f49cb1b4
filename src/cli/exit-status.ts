/** Ends a command with an exit code after it has printed what it had to say. */
export class ExitStatus extends Error {
  override readonly name = 'ExitStatus'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`exit ${exitCode}`)
    this.exitCode = exitCode
  }
}
