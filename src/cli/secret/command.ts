import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { dataCommand } from '../data-commands.ts'

/** `swarmctl secret`. */
export const secretCommand = (program: Command, run: Runner): void =>
  dataCommand(program, run, 'secret')
