// Loaded with `node --import`: puts the defect that MUTATION names into its file while Node reads it.
// The sources themselves have no switches.

import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { mutate } from './mutation.ts'
import { MUTATIONS } from './mutations.ts'

const ROOT = join(import.meta.dirname, '../..')
const name = process.env.MUTATION
const mutation = MUTATIONS.find((one) => one.name === name)
if (mutation === undefined) throw new Error(`no mutation is called ${name}`)
const target = pathToFileURL(join(ROOT, mutation.file)).href

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (url !== target) return loaded
    const { source } = loaded
    if (source === undefined || source === null) throw new Error(`${url} came without its text`)
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source)
    process.stderr.write(`mutated: ${mutation.file}\n`)
    return { ...loaded, source: mutate(mutation, text) }
  },
})
