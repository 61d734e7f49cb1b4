/**
 * Stack files of our own, one for each part of the format, with what they become beside them. Together they use every key in every form
 * that the schema has. `UPDATE=1` writes what they become anew; look at the difference before you commit it.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t from 'tap'
import { parseServiceRequest } from '../../src/api/validate/service.ts'
import type { ConvertedStack } from '../../src/stack/convert/bodies.ts'
import { convertStack } from '../../src/stack/convert/stack.ts'
import { formatConfig } from '../../src/stack/format.ts'
import { loadStack } from '../../src/stack/load.ts'
import { planStack } from '../../src/stack/plan/plan.ts'
import { fileSchema } from '../../src/stack/schema/file-schema.ts'
import { formatWarning } from '../../src/stack/warnings.ts'
import { parseYaml } from '../../src/stack/yaml/parse.ts'
import { formsIn, formsOf } from '../support/stack/schema-coverage.ts'

const NOTHING: ConvertedStack = {
  networks: [],
  secrets: [],
  configs: [],
  services: [],
  externalNetworks: [],
  externalSecrets: [],
  externalConfigs: [],
}
const FOLDER = join(import.meta.dirname, 'corpus')
const files = globSync('*.yml', { cwd: FOLDER }).sort()
const env = { FROM_SHELL: 'shell', HOME: '/root' }
const io = {
  readText: (path: string) => readFile(path, 'utf8'),
  readBytes: (path: string) => readFile(path),
}

/** Paths as they are wherever the project lies. */
const portable = (text: string): string =>
  text.replaceAll(join(FOLDER, '..'), '/up').replaceAll('/up/corpus', '/corpus')

const load = (file: string, stdin = '') =>
  loadStack({ files: [file], env, workdir: FOLDER, io, stdin: Buffer.from(stdin) })

for (const file of files) {
  t.test(file, async (t) => {
    const { config, warnings } = await load(file)
    const { networks, secrets, configs, services } = await convertStack(config, 'demo', io)
    const bodies = { networks, secrets, configs, services, warnings: warnings.map(formatWarning) }
    const got = portable(`${JSON.stringify(bodies, null, 1)}\n`)
    const expected = join(FOLDER, `${basename(file, '.yml')}.json`)
    if (process.env.UPDATE) writeFileSync(expected, got)
    t.strictSame(JSON.parse(got), JSON.parse(readFileSync(expected, 'utf8')))

    const printed = await load('-', formatConfig(config))
    const again = await convertStack(printed.config, 'demo', io)
    t.strictSame(again.services, services, 'what is printed says the same')
    t.strictSame([again.networks, again.configs], [networks, configs])
  })
}

t.test('the API takes what they become, and the next plan finds it the same', async (t) => {
  for (const file of files) {
    const { config } = await load(file)
    for (const service of (await convertStack(config, 'demo', io)).services) {
      // A pipe of Windows: the docker CLI lets it pass, no node here would.
      if (service.Name === 'demo_pipe') continue
      const { spec: Spec } = parseServiceRequest(service)
      const services = [{ ID: 'a', Version: { Index: 1 }, Spec }]
      const { operations } = planStack({
        namespace: 'demo',
        desired: { ...NOTHING, services: [service] },
        existing: { networks: [], secrets: [], configs: [], services },
      })
      const fields = operations.map((one) => ('fields' in one ? one.fields : one))
      t.strictSame(fields, [[]], `${file} ${service.Name}`)
    }
  }
})

t.test('every key in every form', async (t) => {
  const parts = globSync('{.,parts}/*.yml', { cwd: FOLDER })
  const used = new Set(
    parts.flatMap((file) => {
      const { root } = parseYaml(readFileSync(join(FOLDER, file), 'utf8'))
      return formsIn(fileSchema, root)
    }),
  )
  const missing = [...new Set(formsOf(fileSchema))].filter((form) => !used.has(form))
  t.strictSame(missing, [])
})
