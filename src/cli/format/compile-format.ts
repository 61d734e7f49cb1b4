import { SwarmctlError } from '../../api/errors.ts'
import { compileTemplate } from '../../api/go-template/go-template.ts'
import { TemplateError } from '../../api/go-template/template-error.ts'
import { FUNCTIONS, type TemplateFunction } from '../../api/go-template/template-functions.ts'

/** The template of a `--format`. Thrown: SwarmctlError INVALID_ARGUMENT, one line that says so, here and when it is filled in. */
export const compileFormat = (
  format: string,
  functions: ReadonlyMap<string, TemplateFunction> = FUNCTIONS,
): ((data: unknown) => string) => {
  const fill = ofFormat(() => compileTemplate(format, { functions }))
  return (data) => ofFormat(() => fill(data))
}

const ofFormat = <T>(run: () => T): T => {
  try {
    return run()
  } catch (thrown) {
    if (!(thrown instanceof TemplateError)) throw thrown
    throw new SwarmctlError('INVALID_ARGUMENT', `invalid --format: ${thrown.message}`)
  }
}
