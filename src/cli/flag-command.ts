import { Command, type Option, type ParseOptionsResult } from 'commander'
import { flagBoolean } from './service/flag-values.ts'

const takesValue = (option: Option): boolean => option.required || option.optional

/** A command whose boolean flags also take `=true` and `=false`, as Go programs' do: `--detach=false`, `--init=false`. */
export class FlagCommand extends Command {
  #stopsAtArgument = false

  override createCommand(name?: string): FlagCommand {
    return new FlagCommand(name)
  }

  override passThroughOptions(passThrough = true): this {
    this.#stopsAtArgument = passThrough
    return super.passThroughOptions(passThrough)
  }

  override parseOptions(args: string[]): ParseOptionsResult {
    return super.parseOptions(this.#withPlainBooleans(args))
  }

  /** Leaves what is not for this command: a subcommand's flags, arguments for a container, everything after `--`. */
  #withPlainBooleans(args: readonly string[]): string[] {
    const plain: string[] = []
    for (let at = 0; at < args.length; at++) {
      const arg = args[at] as string
      const isForOthers = this.#stopsAtArgument || this.commands.length > 0
      if (arg === '--' || (isForOthers && !arg.startsWith('-')))
        return [...plain, ...args.slice(at)]
      const equals = arg.startsWith('--') ? arg.indexOf('=') : -1
      const name = equals < 0 ? arg : arg.slice(0, equals)
      const option = this.#find(name)
      if (option && !takesValue(option) && equals > 0) {
        plain.push(...this.#spelled(name, flagBoolean(name, arg.slice(equals + 1))))
        continue
      }
      plain.push(arg)
      if (option?.required && equals < 0 && at + 1 < args.length) plain.push(args[++at] as string)
    }
    return plain
  }

  #find(name: string): Option | undefined {
    return this.options.find(({ long, short }) => name === long || name === short)
  }

  /** False is the flag's negation where it has one, else as if it had not been given. */
  #spelled(name: string, isOn: boolean): string[] {
    if (isOn) return [name]
    const negation = `--no-${name.slice(2)}`
    return this.#find(negation) ? [negation] : []
  }
}
