import { Lexer } from 'yaml'

/** What of the package's lexer is looked into; it names none of it in its types. */
interface LexerParts {
  buffer: string
  pos: number
  /** How far a line must be indented to belong to what is open. */
  indentNext: number
  lex(source: string): Iterable<string>
  parseFlowCollection(): Steps
  parsePlainScalar(): Steps
  parseQuotedScalar(): Steps
}

type Steps = Generator<string, unknown, undefined>

/**
 * Lets lines of flow collections and of quoted texts begin at any column. YAML wants them further in than their key, libyaml and Go's
 * reader, so that the docker CLI, don't: `command: [` may have its items and its `]` at the left edge.
 */
export class LooseLexer extends (Lexer as unknown as new () => LexerParts) {
  /** Where a tab stands for the indentation of what an unquoted text in a flow collection goes on with, which Go's reader refuses. */
  readonly misplacedTabs: number[] = []
  /** The indentation that the flow collection should have. */
  #flowIndent = 0

  override *parseFlowCollection(): Steps {
    this.#flowIndent = this.indentNext
    return yield* this.#atAnyColumn(super.parseFlowCollection())
  }

  override parseQuotedScalar(): Steps {
    return this.#atAnyColumn(super.parseQuotedScalar())
  }

  override *parsePlainScalar(): Steps {
    const start = this.pos
    const next = yield* super.parsePlainScalar()
    if (next !== 'flow') return next
    BLANKS.lastIndex = this.pos
    BLANKS.test(this.buffer)
    for (const { index, 0: found } of this.buffer.slice(start, BLANKS.lastIndex).matchAll(TABBED)) {
      const column = found.length - '\n\t'.length
      if (column < this.#flowIndent) this.misplacedTabs.push(start + index + found.length - 1)
    }
    return next
  }

  *#atAnyColumn(steps: Steps): Steps {
    const { indentNext } = this
    this.indentNext = 0
    const next = yield* steps
    this.indentNext = indentNext
    return next
  }
}

const BLANKS = /[ \t\r\n]*/y
const TABBED = /\n *\t/g
