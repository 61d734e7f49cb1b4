import { type Command, Option } from 'commander'
import { anyCaseChoices } from '../arguments.ts'

/** Where the cluster and its containers reach this machine. */
export interface NodeAddresses {
  listenAddr: string
  advertiseAddr?: string
  dataPathAddr?: string
}

/** Adds the addresses to a command that makes this machine a node. */
export const withNodeAddresses = (command: Command): Command =>
  command
    .option(
      '--advertise-addr <addr>',
      'Address that the other nodes reach this one at: IPv4, or an interface',
    )
    .option('--listen-addr <addr>', 'Address of the cluster port, or an interface', '0.0.0.0:2377')
    .option('--data-path-addr <addr>', 'Address for traffic between containers, or an interface')

/** `--availability`, of a node that is new. */
export const availabilityFlag = (): Option =>
  anyCaseChoices(new Option('--availability <kind>', 'Availability of this node'), [
    'active',
    'pause',
    'drain',
  ]).default('active')
