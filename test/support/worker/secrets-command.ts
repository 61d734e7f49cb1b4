/** `SecretsTmpfs` as a program, to run inside a lab host: `<path> write <task> <JSON files> | remove <task> | keep | destroy`. */
import { SecretsTmpfs } from '../../../src/worker/secrets-tmpfs.ts'

const [path, verb, taskId, json] = process.argv.slice(2) as [string, string, string, string]
const files = new SecretsTmpfs({ path })
if (verb !== 'destroy') await files.open()
switch (verb) {
  case 'write': {
    const content = (JSON.parse(json) as { data: string; target: string }[]).map((file) => ({
      mode: 0o444,
      uid: 0,
      gid: 0,
      ...file,
      data: Buffer.from(file.data),
    }))
    process.stdout.write(JSON.stringify(await files.write(taskId, content)))
    break
  }
  case 'remove':
    await files.remove(taskId)
    break
  case 'keep':
    await files.keepOnly(new Set(taskId === undefined ? [] : [taskId]))
    break
  case 'destroy':
    await files.destroy()
    break
  default:
    throw new Error(`unknown verb ${verb}`)
}
