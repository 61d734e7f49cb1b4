import { SwarmctlError } from '../errors.ts'

/** Thrown for a template that can't be read or that asks for what is not there. */
export class TemplateError extends SwarmctlError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message)
  }
}

export const badTemplate = (message: string): TemplateError => new TemplateError(message)
