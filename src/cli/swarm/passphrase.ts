import { Option } from 'commander'
import { invalid } from '../../api/errors.ts'
import type { CliContext } from '../context.ts'
import { readInput } from '../read-input.ts'

/** The daemon takes no longer one. */
const CHARACTERS_MAX = 1024

/** `--passphrase-file`, which `readPassphrase` takes. */
export const passphraseFlag = (): Option =>
  new Option(
    '--passphrase-file <file>',
    'File with the passphrase in its first line, - for standard input (default: ask)',
  )

/** The passphrase of a backup: a file's first line, or what is typed on the terminal; typed twice for a new backup. */
export const readPassphrase = async (
  context: CliContext,
  file: string | undefined,
  options: { repeat: boolean },
): Promise<string> => {
  const passphrase =
    file === undefined
      ? await ask(context, options.repeat)
      : ((await readInput(context, file)).toString('utf8').split(/\r?\n/, 1)[0] as string)
  if (passphrase === '') throw invalid('the passphrase is empty')
  if (passphrase.length > CHARACTERS_MAX)
    throw invalid(`the passphrase is longer than ${CHARACTERS_MAX}`)
  return passphrase
}

const ask = async (context: CliContext, isRepeated: boolean): Promise<string> => {
  if (!context.terminal.inputIsTerminal) {
    throw invalid(
      'give --passphrase-file FILE (- for standard input): there is no terminal to ask on',
    )
  }
  const passphrase = await context.readSecret('Passphrase of the backup: ')
  if (isRepeated && (await context.readSecret('Once more: ')) !== passphrase) {
    throw invalid('the two passphrases differ')
  }
  return passphrase
}
