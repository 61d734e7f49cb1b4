import { ConfigSpec } from '../config.ts'
import { CONFIG_BYTES_MAX, SECRET_BYTES_MAX } from '../defaults.ts'
import { invalid, SwarmctlError } from '../errors.ts'
import { SecretSpec } from '../secret.ts'
import { parseBody } from './body.ts'
import { requireFileName } from './names.ts'

/** @throws SwarmctlError INVALID_ARGUMENT or UNIMPLEMENTED with Docker's text */
export const parseSecretSpec = (body: unknown): SecretSpec => {
  const spec = parseBody(SecretSpec, body)
  requireFileName(spec.Name)
  if (spec.Driver !== undefined) {
    throw new SwarmctlError(
      'UNIMPLEMENTED',
      `secret driver ${spec.Driver.Name}: external secret drivers are not supported, give the data itself`,
    )
  }
  requireData('secret', spec.Data, SECRET_BYTES_MAX)
  requireTemplating(spec.Templating)
  return spec
}

/** @throws SwarmctlError INVALID_ARGUMENT with Docker's text */
export const parseConfigSpec = (body: unknown): ConfigSpec => {
  const spec = parseBody(ConfigSpec, body)
  requireFileName(spec.Name)
  requireData('config', spec.Data, CONFIG_BYTES_MAX)
  requireTemplating(spec.Templating)
  return spec
}

const requireData = (noun: string, data: string | undefined, bytesMax: number): void => {
  const text = data ?? ''
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 === 1) {
    throw invalid(`invalid ${noun} data: it must be base64`)
  }
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = Math.floor(((text.length - padding) * 3) / 4)
  if (bytes >= bytesMax || bytes < 1) {
    throw invalid(`${noun} data must be larger than 0 and less than ${bytesMax} bytes`)
  }
}

const requireTemplating = (templating: { Name: string } | undefined): void => {
  if (templating !== undefined && templating.Name !== 'golang') {
    throw invalid(`invalid template driver ${templating.Name}: only golang is supported`)
  }
}
