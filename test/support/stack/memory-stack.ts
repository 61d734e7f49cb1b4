import type { ServiceSpec } from '../../../src/api/service-spec.ts'
import type { ConvertedStack } from '../../../src/stack/convert/bodies.ts'
import { convertStack } from '../../../src/stack/convert/stack.ts'
import { type LoadedStack, loadStack } from '../../../src/stack/load.ts'
import type { StackFiles } from '../../../src/stack/source/stack-files.ts'

/** Files in memory, by absolute path. */
export const memoryFiles = (files: Readonly<Record<string, string>>): StackFiles => {
  const read = async (path: string): Promise<string> => {
    const text = files[path]
    if (text === undefined) throw new Error(`no such file: ${path}`)
    return text
  }
  return { readText: read, readBytes: async (path) => Buffer.from(await read(path)) }
}

export interface MemoryStack {
  /** Contents by path; relative ones are in `/srv/app`. */
  files?: Readonly<Record<string, string>>
  env?: Readonly<Record<string, string>>
  /** What to load, `stack.yml` alone unless given. */
  names?: readonly string[]
  skipInterpolation?: boolean
}

const WORKDIR = '/srv/app'

const filesOf = (text: string, { files = {} }: MemoryStack): StackFiles =>
  memoryFiles(
    Object.fromEntries(
      Object.entries({ 'stack.yml': text, ...files }).map(([name, content]) => [
        name.startsWith('/') ? name : `${WORKDIR}/${name}`,
        content,
      ]),
    ),
  )

/** `text` as `/srv/app/stack.yml`, loaded. */
export const load = async (text: string, stack: MemoryStack = {}): Promise<LoadedStack> =>
  loadStack({
    files: stack.names ?? ['stack.yml'],
    env: stack.env ?? {},
    skipInterpolation: stack.skipInterpolation ?? false,
    workdir: WORKDIR,
    io: filesOf(text, stack),
  })

/** `text` as a stack `demo`, converted. */
export const convert = async (text: string, stack: MemoryStack = {}): Promise<ConvertedStack> => {
  const { config } = await load(text, stack)
  return convertStack(config, 'demo', filesOf(text, stack))
}

/** The only service of `services: {a: {image: i, …keys}}`, keys given as flow YAML, with other sections in `rest`. */
export const convertOne = async (
  keys: string,
  rest = '',
  stack: MemoryStack = {},
): Promise<ServiceSpec> => {
  const { services } = await convert(`services: {a: {image: i, ${keys}}}\n${rest}`, stack)
  const [service] = services
  if (service === undefined) throw new Error('one service')
  return service
}
