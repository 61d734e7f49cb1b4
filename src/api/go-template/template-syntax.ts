import { badTemplate } from './template-error.ts'
import { type Piece, type Token, templatePieces } from './template-tokens.ts'

/** What stands where a value is wanted. `path` are the fields that follow it. */
export type Operand =
  | { kind: 'dot'; path: string[] }
  | { kind: 'variable'; name: string; path: string[] }
  | { kind: 'literal'; value: string | number | boolean | null }
  | { kind: 'function'; name: string }
  | { kind: 'nested'; pipeline: Pipeline; path: string[] }

/** `a b c | d`: each command's value is the last argument of the next. `declares` are the variables that get the value. */
export interface Pipeline {
  declares: string[]
  /** `=` instead of `:=`. */
  isAssignment: boolean
  commands: Operand[][]
}

/** A block with its `else`. */
export interface Branch {
  kind: 'if' | 'with' | 'range'
  pipeline: Pipeline
  body: TemplateNode[]
  otherwise: TemplateNode[]
}

/** The parts of a template. */
export type TemplateNode =
  | { kind: 'text'; text: string }
  | { kind: 'print'; pipeline: Pipeline }
  | Branch
  | { kind: 'break' | 'continue' }

const LITERALS = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['nil', null],
])

/** Go's keywords that formats have no use for. */
const UNSUPPORTED = new Set(['define', 'template', 'block'])

/** Reads the tokens of one action. */
class ActionReader {
  readonly #tokens: readonly Token[]
  #at: number

  constructor(tokens: readonly Token[], at: number) {
    this.#tokens = tokens
    this.#at = at
  }

  /** A whole pipeline, up to the end of the action. */
  whole(): Pipeline {
    const pipeline = this.#pipeline()
    if (this.#peek() !== undefined) throw badTemplate('unexpected ) in a template')
    return pipeline
  }

  #peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead]
  }

  #isMark(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead)
    return token?.kind === 'mark' && token.text === text
  }

  /** `$x :=`, `$k, $v :=`, `$x =`. */
  #declarations(): Pick<Pipeline, 'declares' | 'isAssignment'> {
    const none = { declares: [], isAssignment: false }
    const first = this.#peek()
    if (first?.kind !== 'variable') return none
    const names = [first.name]
    let ahead = 1
    const second = this.#isMark(',', 1) ? this.#peek(2) : undefined
    if (second?.kind === 'variable') {
      names.push(second.name)
      ahead = 3
    }
    if (!this.#isMark(':=', ahead) && !this.#isMark('=', ahead)) return none
    const isAssignment = this.#isMark('=', ahead)
    this.#at += ahead + 1
    return { declares: names, isAssignment }
  }

  #pipeline(): Pipeline {
    const declarations = this.#declarations()
    const commands = [this.#command()]
    while (this.#isMark('|')) {
      this.#at++
      commands.push(this.#command())
    }
    return { ...declarations, commands }
  }

  #command(): Operand[] {
    const operands: Operand[] = []
    for (let token = this.#peek(); token !== undefined; token = this.#peek()) {
      if (this.#isMark('|') || this.#isMark(')')) break
      this.#at++
      operands.push(this.#operand(token))
    }
    if (operands.length === 0) throw badTemplate('a value is missing in a template')
    return operands
  }

  #operand(token: Token): Operand {
    switch (token.kind) {
      case 'field':
        return { kind: 'dot', path: token.path }
      case 'variable':
        return { kind: 'variable', name: token.name, path: token.path }
      case 'string':
      case 'number':
        return { kind: 'literal', value: token.value }
      case 'word': {
        const literal = LITERALS.get(token.name)
        if (literal !== undefined) return { kind: 'literal', value: literal }
        return { kind: 'function', name: token.name }
      }
      case 'mark':
        if (token.text === '(') return this.#nested()
        throw badTemplate(`unexpected "${token.text}" in a template`)
      default:
        return token satisfies never
    }
  }

  #nested(): Operand {
    const pipeline = this.#pipeline()
    if (!this.#isMark(')')) throw badTemplate('a ( is not closed')
    this.#at++
    const next = this.#peek()
    const isFollowed = next?.kind === 'field' && next.path.length > 0
    if (isFollowed) this.#at++
    return { kind: 'nested', pipeline, path: isFollowed ? next.path : [] }
  }
}

const keywordOf = (tokens: readonly Token[]): string => {
  const first = tokens[0]
  return first?.kind === 'word' ? first.name : ''
}

/** Puts the pieces into a tree. */
class TemplateReader {
  readonly #pieces: Piece[]
  #at = 0

  constructor(template: string) {
    this.#pieces = templatePieces(template)
  }

  whole(): TemplateNode[] {
    const { nodes, end } = this.#list()
    if (end !== undefined) throw badTemplate(`{{${keywordOf(end)}}} without an {{if}}`)
    return nodes
  }

  /** Up to the `end` or `else` that belongs to the caller. */
  #list(): { nodes: TemplateNode[]; end: readonly Token[] | undefined } {
    const nodes: TemplateNode[] = []
    for (let piece = this.#pieces[this.#at++]; piece; piece = this.#pieces[this.#at++]) {
      if (piece.kind === 'text') {
        nodes.push(piece)
        continue
      }
      const keyword = keywordOf(piece.tokens)
      if (keyword === 'end' || keyword === 'else') return { nodes, end: piece.tokens }
      nodes.push(this.#node(keyword, piece.tokens))
    }
    return { nodes, end: undefined }
  }

  #node(keyword: string, tokens: readonly Token[]): TemplateNode {
    if (UNSUPPORTED.has(keyword)) throw badTemplate(`{{${keyword}}} has no use in a format`)
    switch (keyword) {
      case 'if':
      case 'with':
      case 'range':
        return this.#branch(keyword, tokens, 1)
      case 'break':
      case 'continue':
        return { kind: keyword }
      default:
        return { kind: 'print', pipeline: new ActionReader(tokens, 0).whole() }
    }
  }

  #branch(kind: 'if' | 'with' | 'range', tokens: readonly Token[], from: number): Branch {
    const pipeline = new ActionReader(tokens, from).whole()
    const { nodes: body, end } = this.#list()
    if (end === undefined) throw badTemplate(`{{${kind}}} without {{end}}`)
    if (keywordOf(end) === 'end') return { kind, pipeline, body, otherwise: [] }
    const next = end[1]
    if (next?.kind === 'word' && (next.name === 'if' || next.name === 'with')) {
      // `else if` ends with the one `end` of the whole.
      return { kind, pipeline, body, otherwise: [this.#branch(next.name, end, 2)] }
    }
    const rest = this.#list()
    if (rest.end === undefined || keywordOf(rest.end) !== 'end') {
      throw badTemplate(`{{${kind}}} without {{end}}`)
    }
    return { kind, pipeline, body, otherwise: rest.nodes }
  }
}

/** Parses a Go template. Throws INVALID_ARGUMENT with one line. */
export const parseTemplate = (template: string): TemplateNode[] =>
  new TemplateReader(template).whole()
