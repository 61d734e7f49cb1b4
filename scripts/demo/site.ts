/** Where the story plays: what it needs of the nodes, whether they are hosts of a lab or this machine. */
import type { CommandOptions, CommandResult } from '../../test/support/lab/command.ts'
import type { UnixResponse } from '../../test/support/lab/unix-request.ts'

/** One node with its Engine and its daemon. */
export interface DemoNode {
  readonly name: string
  /** The address at which this machine reaches its published ports. */
  readonly ip: string
  readonly swarmctlSocket: string
  swarmctl(args: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** The docker CLI on the node's own Engine. */
  docker(args: readonly string[], options?: CommandOptions): Promise<CommandResult>
  apiRequest(path: string): Promise<UnixResponse>
}

/** The nodes with their daemons running, in no swarm yet. */
export interface DemoSite {
  readonly nodes: readonly DemoNode[]
  /** A port that is free on every node. */
  readonly port: number
  /** Flags that `init` needs here beside `--advertise-addr`. */
  readonly initArgs: readonly string[]
  /** Cuts a node's power and switches it on again; absent where that would be this machine's. */
  readonly power:
    | {
        off(node: DemoNode): void
        on(node: DemoNode): Promise<void>
      }
    | undefined
}
