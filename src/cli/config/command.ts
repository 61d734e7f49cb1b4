import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { dataCommand } from '../data-commands.ts'

/** `swarmctl config`. */
export const configCommand = (program: Command, run: Runner): void =>
  dataCommand(program, run, 'config')
