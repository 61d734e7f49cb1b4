/**
 * The values of a text of JSON one after the other, as `jq` prints them and kubectl reads them, each at the lines that it has in the text. Any other text,
 * YAML above all, is one.
 */
export const jsonValues = (text: string): string[] => {
  if (!/^\s*\{/.test(text)) return [text]
  const values: string[] = []
  let start = 0
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') depth += 1
    if (token !== '}') continue
    depth -= 1
    if (depth !== 0) continue
    const end = index + 1
    const value = text.slice(start, end)
    if (!isJson(value)) return [text]
    values.push(`${text.slice(0, start).replace(/[^\n]+/g, '')}${value}`)
    start = end
  }
  return values.length > 1 && text.slice(start).trim() === '' ? values : [text]
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
