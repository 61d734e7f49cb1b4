import type { StackConfig } from '../config.ts'
import { interpolate } from '../interpolate/interpolate.ts'
import { Locations, placeText } from '../location.ts'
import { Fields } from '../read/fields.ts'
import { readFileObject, readNetwork, readVolume } from '../read/objects.ts'
import type { ReadContext } from '../read/read-context.ts'
import { readService } from '../read/service.ts'
import { fileSchema } from '../schema/file-schema.ts'
import { type Problem, validate } from '../schema/validate.ts'
import { inFile, StackFileProblem, stackFileError } from '../stack-error.ts'
import { type Path, pathText, type ValueMap } from '../value.ts'
import { forbiddenKey } from '../warnings.ts'
import { parseYaml } from '../yaml/parse.ts'

/** A stack file's tree, as it stands. */
export interface ParsedFile {
  /** As the user named it. */
  file: string
  root: ValueMap
  locations: Locations
  /** Paths at which it takes an earlier file's values away. */
  resets: readonly Path[]
}

/** `text` is what `file` has. Thrown: SwarmctlError, naming file and line. */
export const parseStackFile = (file: string, text: string): ParsedFile => {
  const { root, lines, resets } = inFile(new Locations(file), () => parseYaml(text))
  return { file, root, locations: new Locations(file, lines), resets }
}

/** The parsed file with its variables replaced, its keys checked, in typed form. Thrown: SwarmctlError, naming file, line and key. */
export const readStackFile = (parsed: ParsedFile, context: ReadContext): StackConfig => {
  const { root, locations } = parsed
  return inFile(locations, () => {
    refuseForbidden(root)
    const tree = interpolate(root, context)
    const { problems, ignored } = validate(fileSchema, tree)
    if (problems.length > 0) throw problemsError(locations, problems)
    for (const key of ignored) context.note(`${pathText(key)} is ignored`)
    return { ...readTree(tree, locations, context), resets: parsed.resets }
  })
}

const readTree = (
  tree: ValueMap,
  locations: Locations,
  context: ReadContext,
): Omit<StackConfig, 'resets'> => {
  const fields = new Fields(tree, [])
  const section = (key: string) => fields.fields(key) ?? new Fields({}, [key])
  const name = fields.text('name')
  return {
    locations,
    ...(name && { name }),
    services: section('services').each((service) => readService(service, context)),
    networks: section('networks').each((network, key) => readNetwork(network, key, context)),
    volumes: section('volumes').each((volume, key) => readVolume(volume, key, context)),
    secrets: section('secrets').each((one, key) => readFileObject(one, key, 'secret', context)),
    configs: section('configs').each((one, key) => readFileObject(one, key, 'config', context)),
    extensions: fields.rest((key) => key.startsWith('x-')) ?? {},
  }
}

const refuseForbidden = (root: ValueMap): void => {
  const forbidden = forbiddenKey(root)
  if (forbidden === undefined) return
  throw new StackFileProblem(forbidden.path, `is not supported: ${forbidden.remedy}`)
}

const PROBLEMS_SHOWN_MAX = 10

/** All in one line: the first with its place, the others with their lines. */
const problemsError = (locations: Locations, problems: readonly Problem[]): Error => {
  const [first, ...others] = problems.slice(0, PROBLEMS_SHOWN_MAX).map((problem) => ({
    place: locations.of(problem.key === undefined ? problem.path : [...problem.path, problem.key]),
    text: `${pathText(problem.path)} ${problem.text}`,
  }))
  const texts = others.map(({ place, text }) =>
    place.file === first?.place.file && place.line !== undefined
      ? `line ${place.line}: ${text}`
      : `${placeText(place)}: ${text}`,
  )
  const more = problems.length - PROBLEMS_SHOWN_MAX
  if (more > 0) texts.push(`and ${more} more problems`)
  const place = first?.place ?? locations.of([])
  return stackFileError(place, [first?.text ?? '', ...texts].join('; '))
}
