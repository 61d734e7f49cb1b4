/** What two clusters print for the same command, made comparable: what differs from run to run is replaced by its kind. Pure. */

/** A literal text of one side, and what stands for it. */
export type Replacement = readonly [text: string, kind: string]

const AGO =
  /(?:[Ll]ess than a second|About (?:a minute|an hour)|\d+ (?:seconds?|minutes?|hours?)|a second)(?: ago)?/g

/** In this order: the longer forms first. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----\s*/g, '<pem> '],
  [/SWMTKN-\d-[a-z0-9]+-[a-z0-9]+(?:-[a-z0-9]+)?/g, '<token>'],
  [/SWMKEY-\d-[A-Za-z0-9+/]+/g, '<key>'],
  // Swarm's errors have passed through gRPC.
  [/rpc error: code = \w+ desc = /g, ''],
  // Both CLIs are named: Docker's words stand in brackets.
  [/"swarmctl[^"]*"(?: or "swarmctl[^"]*")? \(or ([^)]*)\)/g, '$1'],
  // Newer Engines begin their errors in lower case.
  [/(?<=daemon: )Invalid\b/g, 'invalid'],
  [/sha256:[0-9a-f]{64}/g, '<digest>'],
  [/\b[0-9a-f]{64}\b/g, '<id>'],
  [/\b[a-z0-9]{25}\b/g, '<id>'],
  // Shortened ids: alone they need a digit not to be a word.
  [/\b(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{12}\b/g, '<id>'],
  [/(?<=^|\n)[a-z0-9]{12}(?= |\n|$)/g, '<id>'],
  [/(?<=\.(?:\d+|<id>)\.)[a-z0-9]{12}\b/g, '<id>'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d{4}(?: [A-Z]+)?| utc)?/gi, '<time>'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?:\/\d+)?/g, '<ip>'],
  [AGO, '<ago>'],
  [/\bMF[kw][A-Za-z0-9+/]{60,}={0,2}/g, '<public key>'],
]

/** One text with every volatile part replaced. */
const withKinds = (text: string, replacements: readonly Replacement[]): string => {
  let result = text
  for (const [literal, kind] of replacements) {
    const word = literal.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
    result = result.replace(new RegExp(`(?<![\\w/-])${word}(?![\\w])`, 'g'), kind)
  }
  for (const [pattern, kind] of KINDS) result = result.replace(pattern, kind)
  return result
}

/** How far something is, as the docker CLI shows it while it waits: how often and in which states is chance. */
const isProgress = (line: string): boolean =>
  /^(?:\d+\/\d+: |overall progress: |job progress: waiting|active tasks: |verify: (?:Waiting|Service is being)|\w+: (?:new|pending|assigned|preparing|ready|starting|running)\s*)/.test(
    line,
  ) || /^<id>: /.test(line)

/** Text line by line: columns are as wide as their content, so runs of blanks are one. */
const shapeOfText = (text: string, replacements: readonly Replacement[]): string[] =>
  withKinds(text, replacements)
    .split('\n')
    .map((line) => line.replace(/[ \t\r]+/g, ' ').trim())
    .filter((line) => line !== '' && !isProgress(line))

/** What a user wrote has to come back as it was; of what the cluster made the kind is enough. */
const isWritten = (path: string): boolean => /\.(?:Spec|PreviousSpec)\b/.test(path)

const flatten = (value: unknown, path: string, replacements: readonly Replacement[]): string[] => {
  if (Array.isArray(value)) {
    return value.length === 0
      ? [`${path}: empty`]
      : value.flatMap((item) => flatten(item, `${path}[]`, replacements))
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    if (entries.length === 0) return [`${path}: empty`]
    return entries.flatMap(([key, child]) =>
      flatten(child, `${path}.${withKinds(key, replacements)}`, replacements),
    )
  }
  // Which of the three an Engine prints for nothing depends on its age.
  if (value === null) return [`${path}: empty`]
  if (!isWritten(path)) return [`${path}: ${typeof value}`]
  return [`${path}: ${withKinds(JSON.stringify(value), replacements)}`]
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The lines of one output that have to be the same on both sides: of JSON each path once, of text each line. */
export const shapeOf = (text: string, replacements: readonly Replacement[]): string[] => {
  const trimmed = text.trim()
  if (!/^[[{]/.test(trimmed)) return shapeOfText(text, replacements)
  // One document, or one a line as `--format json` and `{{json .}}` print them.
  const whole = parsed(trimmed)
  const documents = whole === undefined ? trimmed.split('\n').map(parsed) : [whole]
  if (documents.includes(undefined)) return shapeOfText(text, replacements)
  const lines = documents
    .flatMap((document) => flatten(document, '', replacements))
    // What Swarm lacks has a place of its own.
    .filter((line) => !/\.Swarmctl\b/.test(line))
  return [...new Set(lines)].sort()
}

/** What only one of two outputs has. */
export const differenceOf = (swarm: readonly string[], ours: readonly string[]): string[] => {
  const rest = [...ours]
  const missing = swarm.filter((line) => {
    const at = rest.indexOf(line)
    if (at < 0) return true
    rest.splice(at, 1)
    return false
  })
  return [...missing.map((line) => `- ${line}`), ...rest.map((line) => `+ ${line}`)]
}
