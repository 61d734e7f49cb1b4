import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { ConvertedNamespace } from '../../kubernetes/convert-manifests.ts'
import { SECRET_KEY_BYTES, secretText } from '../../stack/plan/digest.ts'
import type { ResolveImage } from '../../stack/plan/plan.ts'
import { collect } from '../arguments.ts'
import type { CliContext, Runner } from '../context.ts'
import { withDeploymentOptions } from '../stack/deploy.ts'
import { existingObjects } from '../stack/existing.ts'
import { type DeploymentOptions, runDeployment } from '../stack/run-deployment.ts'
import { formatBodies } from './format-bodies.ts'
import { SUFFIX_BYTES, withSecretNames } from './secret-names.ts'

interface ApplyOptions extends DeploymentOptions {
  filename: string[]
  plan?: boolean
  format: 'table' | 'json'
  resolveImage: ResolveImage
}

const MANIFEST_NAME = /\.(ya?ml|json)$/

/** A file, `-`, or all manifests of a folder in the order of their names. */
const readSource = async (
  context: CliContext,
  source: string,
): Promise<{ file: string; text: string }[]> => {
  if (source === '-') {
    return [{ file: source, text: (await context.readStdin()).toString('utf8') }]
  }
  if (/^https?:\/\//.test(source)) {
    const text = `${source}: is not fetched: write "curl -fsSL ${source} | swarmctl apply -f -"`
    throw new SwarmctlError('INVALID_ARGUMENT', text)
  }
  try {
    if (!(await stat(source)).isDirectory()) {
      return [{ file: source, text: await readFile(source, 'utf8') }]
    }
    const names = (await readdir(source)).filter((name) => MANIFEST_NAME.test(name)).sort()
    const files = names.map((name) => join(source, name))
    return await Promise.all(
      files.map(async (file) => ({ file, text: await readFile(file, 'utf8') })),
    )
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SwarmctlError('INVALID_ARGUMENT', `${source}: cannot be read: ${reason}`, { cause })
  }
}

/** With `hide` no content of a Secret is in the result. */
const convert = async (
  context: CliContext,
  sources: readonly string[],
  hide?: (base64: string) => string,
): Promise<ConvertedNamespace[]> => {
  if (sources.filter((one) => one === '-').length > 1) {
    throw new SwarmctlError('INVALID_ARGUMENT', '-: standard input can be read once')
  }
  const files = (await Promise.all(sources.map((one) => readSource(context, one)))).flat()
  if (files.length === 0) {
    throw new SwarmctlError('INVALID_ARGUMENT', `${sources.join(', ')}: there is no manifest`)
  }
  // Only this command needs them: the others start without.
  const [{ convertManifests }, { parseManifests }, { withHiddenSecrets }] = await Promise.all([
    import('../../kubernetes/convert-manifests.ts'),
    import('../../kubernetes/manifest.ts'),
    import('../../kubernetes/hidden-secrets.ts'),
  ])
  const manifests = files.flatMap(({ file, text }) => parseManifests(file, text))
  if (manifests.length === 0) {
    const names = files.map(({ file }) => file).join(', ')
    throw new SwarmctlError('INVALID_ARGUMENT', `${names}: there is no object in it`)
  }
  return convertManifests(hide === undefined ? manifests : withHiddenSecrets(manifests, hide))
}

const showNotes = ({ output }: CliContext, namespaces: readonly ConvertedNamespace[]): void => {
  for (const { notes } of namespaces) {
    for (const note of notes) output.writeError(`${note}\n`)
  }
}

/** Plans end up in logs: the key is of this run alone and forgotten with it. */
const plan = async (
  context: CliContext,
  { filename, format }: Pick<ApplyOptions, 'filename' | 'format'>,
): Promise<void> => {
  const key = context.randomBytes(SECRET_KEY_BYTES)
  const namespaces = await convert(context, filename, (base64) => secretText(base64, key))
  showNotes(context, namespaces)
  context.output.write(formatBodies(namespaces, format))
}

const apply = async (context: CliContext, options: ApplyOptions): Promise<void> => {
  if (options.plan) return plan(context, options)
  if (options.format !== 'table') {
    throw new SwarmctlError('INVALID_ARGUMENT', '--format is the format of a plan: say --plan')
  }
  const namespaces = await convert(context, options.filename)
  showNotes(context, namespaces)
  const { resolveImage } = options
  for (const converted of namespaces) {
    const existing = await existingObjects(context)
    const { namespace } = converted
    const random = context.randomBytes(converted.secrets.length * SUFFIX_BYTES)
    const desired = withSecretNames(converted, existing.secrets, random)
    await runDeployment(context, { namespace, desired, existing, resolveImage }, options)
  }
}

/** `swarmctl apply`. */
export const applyVerb = (program: Command, run: Runner): void => {
  withDeploymentOptions(program.command('apply'))
    .description('Run Kubernetes manifests as services, and wait until they run')
    .requiredOption(
      '-f, --filename <file>',
      'Manifest, folder of manifests, or - for standard input (several times)',
      collect,
    )
    .option(
      '--plan',
      'Only show the services that they become, without the content of Secrets; needs no cluster',
    )
    .addOption(
      new Option('--format <format>', 'Format of --plan')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addHelpText('after', '\nExample:\n  swarmctl apply -f deployment.yml\n')
    .action(run((context, options: ApplyOptions) => apply(context, options)))
}
