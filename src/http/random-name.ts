import { randomInt } from 'node:crypto'

const ADJECTIVES =
  'able bold brisk calm clever deft eager fair fleet gentle glad keen kind lucid merry neat noble plain proud quick quiet ready sharp sober solid spry steady swift tidy vivid warm wise'
const NOUNS =
  'auk bear bee crane crow deer dove eel elk finch fox gull hare hawk heron ibis jay kite lark lynx mole newt orca otter owl perch seal stoat swan teal vole wren'
/** Makes two of the same name unlikely; the store refuses the second. */
const NUMBER_MAX = 10_000

const pick = (words: string): string => {
  const list = words.split(' ')
  return list[randomInt(list.length)] as string
}

/** A name for a service that was created without one, as Docker gives it. */
export const randomName = (): string => `${pick(ADJECTIVES)}_${pick(NOUNS)}${randomInt(NUMBER_MAX)}`
