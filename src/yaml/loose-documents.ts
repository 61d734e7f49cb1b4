import {
  Composer,
  type Document,
  type DocumentOptions,
  LineCounter,
  type ParseOptions,
  Parser,
  type SchemaOptions,
  type YAMLParseError,
} from 'yaml'
import { LooseLexer } from './loose-lexer.ts'

/** The documents of a text, read as leniently and as strictly as by Go's YAML reader, which the docker CLI and kubectl have. */
export interface LooseDocuments {
  documents: Document[]
  lineAt(offset: number): number
  /** What makes a document unreadable, and where. */
  problemOf(document: Document): { reason: string; offset: number; cause?: Error } | undefined
}

/** `parseAllDocuments` of the package with another lexer. */
export const looseDocuments = (
  text: string,
  options: ParseOptions & DocumentOptions & SchemaOptions,
): LooseDocuments => {
  const source = text.replaceAll(LONE_RETURN, '\n')
  const counter = new LineCounter()
  const lexer = new LooseLexer()
  const parser = new Parser(counter.addNewLine)
  const composer = new Composer({ ...options, logLevel: 'silent' })
  function* tokens() {
    for (const lexeme of lexer.lex(source)) yield* parser.next(lexeme)
    yield* parser.end()
  }
  counter.addNewLine(0)
  return {
    documents: [...composer.compose(tokens())],
    lineAt: (offset) => counter.linePos(offset).line,
    problemOf({ errors, range }) {
      const cause = errors.find((error) => !isCommentOfItsLine(error, source))
      if (cause !== undefined) return { reason: cause.message, offset: cause.pos[0], cause }
      const [start = 0, , end = 0] = range ?? []
      const offset = lexer.misplacedTabs.find((tab) => tab >= start && tab < end)
      const reason = 'found a tab character that violates indentation'
      return offset === undefined ? undefined : { reason, offset }
    },
  }
}

/** The parser misses the blank before a comment at the left edge, when it is behind a value in `{}`. */
const isCommentOfItsLine = ({ code, pos: [offset] }: YAMLParseError, text: string): boolean =>
  code === 'MISSING_CHAR' && text[offset] === '#' && text[offset - 1] === '\n'

/** YAML ends a line with it, the parser does not. */
const LONE_RETURN = /\r(?!\n)/g

/** What YAML has no place for; the parser lets it into the values. */
const CONTROL_CHARACTER = /[^\P{Cc}\t\n\r\x85]/u

/** The line of the first character that YAML has no place for. */
export const controlCharacterLine = (text: string): number | undefined => {
  const index = text.search(CONTROL_CHARACTER)
  return index === -1 ? undefined : text.slice(0, index).split(/\r\n?|\n/).length
}
