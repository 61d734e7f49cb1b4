import { parseBytes } from '../../stack/parse/bytes.ts'
import { parseCpus } from '../../stack/parse/cpus.ts'
import { parseDuration } from '../../stack/parse/duration.ts'
import { FlagError } from '../flag-error.ts'
import { refusedFlag } from './key-values.ts'

/** Runs a parser; what it throws is told with the flag's name. */
export const parsed = <T>(flag: string, value: string, parse: (value: string) => T): T => {
  try {
    return parse(value)
  } catch (error) {
    throw new FlagError(`invalid value "${value}" for ${flag}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

export const durationNs = (flag: string, value: string): number =>
  parsed(flag, value, parseDuration)
export const bytes = (flag: string, value: string): number => parsed(flag, value, parseBytes)
export const nanoCpus = (flag: string, value: string): number => parsed(flag, value, parseCpus)

/** As Go reads numbers of flags: `0x10`, `0b11`, `0o17` and `017` (both 15), `1_000`. */
const NUMBER = /^(?:0x(?:_?[0-9a-f])+|0b(?:_?[01])+|0o?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)$/i

/** Undefined for what is no such number. */
const goNumber = (text: string): number | undefined =>
  NUMBER.test(text) ? Number(text.replaceAll('_', '').replace(/^0(?=[0-9])/, '0o')) : undefined

/** A whole number of at least 0. */
export const count = (flag: string, value: string): number =>
  parsed(flag, value, (text) => {
    const number = goNumber(text)
    if (number === undefined) throw new Error('must be a whole number of at least 0')
    return number
  })

/** A whole number of at least 0 inside of another text, which has decimal ones only. */
export const decimalCount = (flag: string, value: string): number =>
  parsed(flag, value, (text) => {
    if (!/^\d+$/.test(text)) throw new Error('must be a whole number of at least 0')
    return Number(text)
  })

/** A whole number. */
export const integer = (flag: string, value: string): number =>
  parsed(flag, value, (text) => {
    const number = goNumber(text.replace(/^[-+]/, ''))
    if (number === undefined) throw new Error('must be a whole number')
    return text.startsWith('-') ? -number : number
  })

/** A whole number inside of another text, which has decimal ones only. */
export const decimalInteger = (flag: string, value: string): number =>
  parsed(flag, value, (text) => {
    if (!/^[-+]?\d+$/.test(text)) throw new Error('must be a whole number')
    return Number(text)
  })

/** A ratio from 0 to 1. */
export const ratio = (flag: string, value: string): number => {
  const number = parsed(flag, value, (text) => {
    if (text.trim() === '' || Number.isNaN(Number(text))) throw new Error('must be a number')
    return Number(text)
  })
  if (number >= 0 && number <= 1) return number
  throw refusedFlag(flag, value, 'must be from 0 to 1')
}

/** One of a few words inside of another text. */
export const oneOf =
  <T extends string>(...choices: T[]) =>
  (flag: string, value: string): T =>
    parsed(flag, value, (text) => {
      if (!choices.includes(text as T)) throw new Error(`must be one of ${choices.join(', ')}`)
      return text as T
    })

/** One of the words that a field of the API may have. The docker CLI sends an empty one, which the API reads as the field's default. */
export const choice =
  <T extends string>(...choices: T[]) =>
  (flag: string, value: string): T | undefined => {
    if (value === '') return undefined
    if (choices.includes(value as T)) return value as T
    throw refusedFlag(flag, value, `must be one of ${choices.join(', ')}`)
  }

/** `true` and `false`, given as `--flag` or `--flag=false`. */
export const flagBoolean = (flag: string, value: string | boolean): boolean =>
  typeof value === 'boolean'
    ? value
    : parsed(flag, value, (text) => {
        if (/^(?:1|[tT]|true|True|TRUE)$/.test(text)) return true
        if (/^(?:0|[fF]|false|False|FALSE)$/.test(text)) return false
        throw new Error('must be true or false')
      })
