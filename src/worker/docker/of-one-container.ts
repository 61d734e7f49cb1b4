import { SwarmctlError } from '../../api/errors.ts'
import {
  type EngineClient,
  type EngineRequest,
  EngineTimeout,
  QUICK_TIMEOUT_MS,
} from './engine-client.ts'

export const pingEngine = async (engine: EngineClient): Promise<void> => {
  await engine.request({ method: 'GET', path: '/_ping' })
}

/**
 * A request about one container. What hangs for it (its volume's server is away) does not make an Engine dead that answers otherwise.
 * @throws SwarmctlError, TIMEOUT in that case
 */
export const ofOneContainer = async (
  engine: EngineClient,
  request: EngineRequest,
): Promise<unknown> => {
  try {
    return await engine.request(request)
  } catch (thrown) {
    if (!(thrown instanceof EngineTimeout)) throw thrown
    await pingEngine(engine)
    const limitS = (request.timeoutMs ?? QUICK_TIMEOUT_MS) / 1000
    const text = `the Docker Engine has not done it within ${limitS} s, though it answers`
    throw new SwarmctlError('TIMEOUT', text, { cause: thrown })
  }
}
