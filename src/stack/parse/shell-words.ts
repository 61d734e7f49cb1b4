/**
 * A command line split as a POSIX shell splits words: quotes, backslashes and `#` comments, but no expansion. Thrown: an Error for a
 * quote or backslash that nothing ends.
 */
export const splitShellWords = (text: string): string[] => {
  const words: string[] = []
  let rest = text
  while (rest !== '') {
    const skipped = /^(?:[ \t\r\n]+|#[^\n]*)/.exec(rest)?.[0]
    if (skipped !== undefined) {
      rest = rest.slice(skipped.length)
      continue
    }
    const { word, length } = readWord(rest)
    words.push(word)
    rest = rest.slice(length)
  }
  return words
}

const PIECE =
  /(?<bare>[^ \t\r\n"'\\]+)|\\(?<escaped>.)|"(?<quoted>(?:[^"\\]|\\.)*)"|'(?<literal>[^']*)'/sy

const readWord = (text: string): { word: string; length: number } => {
  let word = ''
  let length = 0
  while (length < text.length && !/[ \t\r\n]/.test(text[length] ?? '')) {
    PIECE.lastIndex = length
    const match = PIECE.exec(text)
    if (match === null) {
      const what = text[length] === '\\' ? 'escape character' : 'closing quote missing'
      throw new Error(`invalid command ${JSON.stringify(text)}: ${what} at its end`)
    }
    const { bare, escaped, quoted, literal } = match.groups ?? {}
    word += bare ?? escaped ?? literal ?? quoted?.replace(/\\(.)/gs, '$1') ?? ''
    length = PIECE.lastIndex
  }
  return { word, length }
}
