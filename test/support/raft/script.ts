// Scripts with recorded output. A line that begins with `> ` is a command; what it printed follows, indented by
// two spaces; everything else (`#` comments, blank lines) is for the reader and stays as it is.

import { readFileSync, writeFileSync } from 'node:fs'

/** Runs one command; returns the lines that it prints. */
export type RunCommand = (command: Command) => readonly string[]

/** `name word word key=value key=(a,b)`. */
export interface Command {
  readonly name: string
  readonly words: readonly string[]
  readonly options: ReadonlyMap<string, readonly string[]>
}

/** What a script's file holds now, and what it would hold with the output of this run. */
export interface ScriptRun {
  readonly recorded: string
  readonly actual: string
}

/** Runs all commands of a file; with UPDATE=1 the file is written anew. */
export function runScript(path: string, run: RunCommand): ScriptRun {
  const recorded = readFileSync(path, 'utf8')
  const lines: string[] = []
  for (const line of recorded.split('\n')) {
    if (line.startsWith('  ')) continue
    lines.push(line)
    if (line.startsWith('> ')) lines.push(...output(run, line.slice(2)))
  }
  const actual = lines.join('\n')
  if (process.env.UPDATE === '1') writeFileSync(path, actual)
  return { recorded: process.env.UPDATE === '1' ? actual : recorded, actual }
}

function output(run: RunCommand, text: string): string[] {
  return run(parseCommand(text)).map((line) => `  ${line}`)
}

/** Throws for what is no command. */
function parseCommand(text: string): Command {
  const [name, ...rest] = text.trim().split(/\s+/)
  if (name === undefined || name === '') throw new Error('a command without a name')
  const words: string[] = []
  const options = new Map<string, readonly string[]>()
  for (const part of rest) {
    const at = part.indexOf('=')
    if (at === -1) words.push(part)
    else {
      const value = part.slice(at + 1).replace(/^\((.*)\)$/, '$1')
      options.set(part.slice(0, at), value === '' ? [] : value.split(','))
    }
  }
  return { name, words, options }
}

/** An option that holds one number. */
export function numberOption(command: Command, name: string, fallback: number): number {
  const value = command.options.get(name)?.[0]
  return value === undefined ? fallback : Number(value)
}
