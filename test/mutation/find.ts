// Searches for a defect in a process of its own, which loads the mutated sources.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Mutation } from './mutation.ts'

/** A run takes a fraction of a second; one that takes this long hangs, which is a find as well. */
const HANG_MS = 60_000
const ERRORS_CHARACTERS = 2_000

/** How many seeds were tried, and what the last of them broke; undefined when none did. */
export interface Finding {
  readonly seeds: number
  readonly broken: string | undefined
}

/** Tries seeds from 1 on; rejects when the mutation can't be loaded. */
export function find(mutation: Mutation, seedsMax: number): Promise<Finding> {
  const file = (name: string) => join(import.meta.dirname, name)
  const child = spawn(process.execPath, ['--import', file('load-mutated.ts'), file('search.ts')], {
    env: { ...process.env, MUTATION: mutation.name, SEEDS: String(seedsMax), FROM: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise((resolve, reject) => {
    let seeds = 0
    let broken: string | undefined
    let isComplete = false
    let errors = ''
    const hang = () => {
      broken = 'the run hangs'
      isComplete = true
      child.kill('SIGKILL')
    }
    let timer = setTimeout(hang, HANG_MS)
    child.stderr.on('data', (data) => {
      errors = (errors + data).slice(-ERRORS_CHARACTERS)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      clearTimeout(timer)
      timer = setTimeout(hang, HANG_MS)
      if (line.startsWith('seed ')) seeds += 1
      else isComplete = true
      if (line.startsWith('broken ')) broken = line.slice('broken '.length)
    })
    child.on('close', () => {
      clearTimeout(timer)
      if (isComplete && errors.includes('mutated: ')) resolve({ seeds, broken })
      else reject(new Error(`${mutation.name} did not run: ${errors}`))
    })
  })
}
