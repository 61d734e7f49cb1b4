import { badTemplate } from './template-error.ts'

/** One token within `{{ }}`. */
export type Token =
  | { kind: 'field'; path: string[] }
  | { kind: 'variable'; name: string; path: string[] }
  | { kind: 'word'; name: string }
  | { kind: 'string'; value: string }
  | { kind: 'number'; value: number }
  | { kind: 'mark'; text: '(' | ')' | '|' | ',' | ':=' | '=' | '.' }

/** A piece of a template: text, or the tokens of one action. */
export type Piece = { kind: 'text'; text: string } | { kind: 'action'; tokens: Token[] }

const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy
const NUMBER = /[+-]?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)/iy
const QUOTED = /"(?:[^"\\\n]|\\.)*"/y
const RAW = /`[^`]*`/y
const CHARACTER = /'(?:[^'\\\n]|\\.)'/y
const SPACE = /\s+/y
const MARK = /:=|[()|,=]/y

/** Reads a sticky pattern at a place. */
const read = (pattern: RegExp, text: string, at: number): string | undefined => {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

const ESCAPES: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  "'": "'",
  '\\': '\\',
}

const unescaped = (text: string): string =>
  text.replace(/\\(.)/g, (whole, letter: string) => ESCAPES[letter] ?? whole)

/** `.A.B`: the names, and where they end. A lone dot has none. */
const readPath = (text: string, start: number): { path: string[]; end: number } => {
  const path: string[] = []
  let end = start
  while (text[end] === '.') {
    const name = read(NAME, text, end + 1)
    if (name === undefined) break
    path.push(name)
    end += 1 + name.length
  }
  return { path, end }
}

const readQuoted = (text: string, at: number): { token: Token; end: number } | undefined => {
  const quoted = read(QUOTED, text, at) ?? read(RAW, text, at)
  if (quoted !== undefined) {
    const inner = quoted.slice(1, -1)
    const value = quoted.startsWith('`') ? inner : unescaped(inner)
    return { token: { kind: 'string', value }, end: at + quoted.length }
  }
  const character = read(CHARACTER, text, at)
  if (character === undefined) return undefined
  const value = unescaped(character.slice(1, -1)).codePointAt(0) as number
  return { token: { kind: 'number', value }, end: at + character.length }
}

const readToken = (text: string, at: number): { token: Token; end: number } => {
  if (text[at] === '.') {
    const { path, end } = readPath(text, at)
    return { token: { kind: 'field', path }, end: path.length === 0 ? at + 1 : end }
  }
  if (text[at] === '$') {
    const name = read(NAME, text, at + 1) ?? ''
    const { path, end } = readPath(text, at + 1 + name.length)
    return { token: { kind: 'variable', name: `$${name}`, path }, end }
  }
  const quoted = readQuoted(text, at)
  if (quoted) return quoted
  const mark = read(MARK, text, at)
  if (mark !== undefined) {
    const token = { kind: 'mark', text: mark as '(' } as const
    return { token, end: at + mark.length }
  }
  const number = read(NUMBER, text, at)
  if (number !== undefined) {
    return { token: { kind: 'number', value: Number(number) }, end: at + number.length }
  }
  const name = read(NAME, text, at)
  if (name !== undefined) return { token: { kind: 'word', name }, end: at + name.length }
  throw badTemplate(`unexpected "${text[at]}" in {{${text}}}`)
}

const tokensOf = (action: string): Token[] => {
  const tokens: Token[] = []
  for (let at = 0; at < action.length; ) {
    const space = read(SPACE, action, at)
    if (space !== undefined) {
      at += space.length
      continue
    }
    const { token, end } = readToken(action, at)
    tokens.push(token)
    at = end
  }
  return tokens
}

/** Where an action that begins at `start` ends: `}}` outside of strings. */
const actionEnd = (template: string, start: number): number => {
  for (let at = start; at < template.length; at++) {
    if (template.startsWith('}}', at)) return at
    const quoted = read(QUOTED, template, at) ?? read(RAW, template, at)
    if (quoted !== undefined) at += quoted.length - 1
  }
  throw badTemplate('a {{ is not closed by }}')
}

/** Splits a template into text and actions; `{{-` and `-}}` trim the text beside them, comments are left out. */
export const templatePieces = (template: string): Piece[] => {
  const pieces: Piece[] = []
  let isTrimming = false
  for (let at = 0; at < template.length; ) {
    const open = template.indexOf('{{', at)
    const text = template.slice(at, open < 0 ? undefined : open)
    const trimsLeft = open >= 0 && /^\{\{-\s/.test(template.slice(open, open + 4))
    const begun = isTrimming ? text.trimStart() : text
    const shown = trimsLeft ? begun.trimEnd() : begun
    if (shown !== '') pieces.push({ kind: 'text', text: shown })
    if (open < 0) break
    const start = open + (trimsLeft ? 3 : 2)
    const end = actionEnd(template, start)
    isTrimming = /\s-$/.test(template.slice(start, end))
    const action = template.slice(start, isTrimming ? end - 1 : end)
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(action)) {
      pieces.push({ kind: 'action', tokens: tokensOf(action) })
    }
    at = end + 2
  }
  return pieces
}
