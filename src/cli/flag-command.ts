import { Command, type Option, type ParseOptionsResult } from 'commander'
import { flagBoolean } from './service/flag-values.ts'

const takesValue = (option: Option): boolean => option.required || option.optional

/** A command line as it is spelled for commander. */
class PlainWords {
  readonly #words: { word: string; isValue: boolean }[] = []

  add(...words: string[]): void {
    for (const word of words) this.#words.push({ word, isValue: false })
  }

  addValue(word: string): void {
    this.#words.push({ word, isValue: true })
  }

  /** Takes out a flag that a later `=false` undoes. */
  takeBack({ long, short }: Option): void {
    for (const one of [...this.#words]) {
      if (one.isValue || (one.word !== long && one.word !== short)) continue
      this.#words.splice(this.#words.indexOf(one), 1)
    }
  }

  words(): string[] {
    return this.#words.map(({ word }) => word)
  }
}

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
    const parsed = super.parseOptions(this.#withPlainBooleans(args))
    const [mistyped] = parsed.unknown
    const asksForHelp = parsed.unknown.some((word) => /^(-h|--help)$/.test(word))
    // Commander asks first for a flag that is required: it may be the one that is mistyped.
    if (mistyped !== undefined && !asksForHelp && this.options.some(({ mandatory }) => mandatory)) {
      // Its types leave it out.
      ;(this as unknown as { unknownOption(flag: string): void }).unknownOption(mistyped)
    }
    return parsed
  }

  /** Leaves what is not for this command: a subcommand's flags, arguments for a container, everything after `--`. */
  #withPlainBooleans(args: readonly string[]): string[] {
    const plain = new PlainWords()
    for (let at = 0; at < args.length; at++) {
      const arg = args[at] as string
      const isForOthers = this.#stopsAtArgument || this.commands.length > 0
      if (arg === '--' || (isForOthers && !arg.startsWith('-')))
        return [...plain.words(), ...args.slice(at)]
      const short = /^-[a-zA-Z]+=/.test(arg) ? this.#withShortValue(arg) : undefined
      if (short) {
        plain.add(...short)
        continue
      }
      const equals = arg.startsWith('--') ? arg.indexOf('=') : -1
      const name = equals < 0 ? arg : arg.slice(0, equals)
      const option = this.#find(name)
      if (option && !takesValue(option) && equals > 0) {
        const spelled = this.#spelled(option, flagBoolean(name, arg.slice(equals + 1)))
        if (spelled.length === 0) plain.takeBack(option)
        plain.add(...spelled)
        continue
      }
      plain.add(arg)
      if (option?.required && equals < 0 && at + 1 < args.length) {
        plain.addValue(args[++at] as string)
      }
    }
    return plain.words()
  }

  #find(name: string): Option | undefined {
    return this.options.find(({ long, short }) => name === long || name === short)
  }

  /** `-t=false`, `-e=A=1` and `-te=A=1`: the last of the letters has the value. Undefined where it is another's: `-eA=1`. */
  #withShortValue(arg: string): string[] | undefined {
    const equals = arg.indexOf('=')
    const options = [...arg.slice(1, equals)].map((letter) => this.#find(`-${letter}`))
    const last = options.pop()
    if (!last || options.some((option) => !option || takesValue(option))) return undefined
    const value = arg.slice(equals + 1)
    return [
      ...[...arg.slice(1, equals - 1)].map((letter) => `-${letter}`),
      ...(takesValue(last)
        ? [last.short as string, value]
        : this.#spelled(last, flagBoolean(arg.slice(0, equals), value))),
    ]
  }

  /** False is the flag's negation where it has one (of `--no-x` that is `--x`), else as if it had not been given. */
  #spelled({ long, negate }: Option, isOn: boolean): string[] {
    if (isOn) return [long as string]
    const negation = negate
      ? (long as string).replace('--no-', '--')
      : `--no-${(long as string).slice(2)}`
    return this.#find(negation) ? [negation] : []
  }
}
