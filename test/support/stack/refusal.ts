/** Stack files that are refused, and what for. */
import { requireAccepted } from '../../../src/stack/convert/accepted.ts'
import { convertStack } from '../../../src/stack/convert/stack.ts'
import { loadStack } from '../../../src/stack/load.ts'
import { memoryFiles } from './memory-stack.ts'

/** A service with these keys, from line 4 on. */
export const service = (keys: string, rest = ''): string =>
  `services:\n  a:\n    image: i\n    ${keys}\n${rest}`

const FILES: Readonly<Record<string, string>> = {
  'other.yml':
    'services:\n  base: {image: i}\n  loop: {extends: {service: loop, file: other.yml}}\n  bad: {image: i, tty: maybe}\n',
  'circle.yml': 'include: [circle.yml]',
  'clash.yml': 'services:\n  a: {image: other}\n',
  'bad.yml': 'services:\n  x:\n    frob: 1\n',
  'bad.env': 'A B=1\n',
  'profile.json': 'not json',
}

/** Why a stack file is refused; `taken` when it is not. `deploys`: by a plan or a deployment, which know what managers take. */
export const refusal = async (text: string, { deploys = false } = {}): Promise<string> => {
  const io = memoryFiles(
    Object.fromEntries(
      Object.entries({ ...FILES, 'stack.yml': text }).map(([name, file]) => [`/w/${name}`, file]),
    ),
  )
  try {
    const { config } = await loadStack({ files: ['stack.yml'], env: { N: 'x' }, workdir: '/w', io })
    const converted = await convertStack(config, 'demo', io)
    if (deploys) requireAccepted(converted, config, 'demo')
    return 'taken'
  } catch (thrown) {
    return (thrown as Error).message
  }
}
