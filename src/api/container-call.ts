// What managers ask of a task's container, wherever it runs: the parts of the Engine API that `exec`, `cp` and `why` need.
import { z } from 'zod'
import type { SwarmctlError } from './errors.ts'
import { invalid } from './errors.ts'

/** A command to run in a container: the Engine API's `ExecConfig`. */
export const ExecConfig = z.object({
  Cmd: z.array(z.string()).default([]),
  AttachStdin: z.boolean().optional(),
  AttachStdout: z.boolean().optional(),
  AttachStderr: z.boolean().optional(),
  Tty: z.boolean().optional(),
  Env: z.array(z.string()).optional(),
  WorkingDir: z.string().optional(),
  User: z.string().optional(),
  Privileged: z.boolean().optional(),
  DetachKeys: z.string().optional(),
  /** Height and width of the terminal at its start. */
  ConsoleSize: z.tuple([z.number(), z.number()]).optional(),
})
export type ExecConfig = z.infer<typeof ExecConfig>

/** One call about the container of a task. */
export type ContainerCall =
  /** The Engine's `GET /containers/{id}/json`. */
  | { kind: 'inspect' }
  | { kind: 'exec-create'; config: ExecConfig }
  /** What is sent is the command's standard input, what comes its output: framed unless it has a terminal. */
  | {
      kind: 'exec-start'
      execId: string
      detach: boolean
      tty: boolean
      consoleSize?: [number, number]
    }
  | { kind: 'exec-resize'; execId: string; height: number; width: number }
  | { kind: 'exec-inspect'; execId: string }
  /** About a path: its head is in the header PATH_STAT_HEADER. */
  | { kind: 'archive-stat'; path: string }
  /** A tar archive of a path. */
  | { kind: 'archive-get'; path: string }
  /** What is sent is a tar archive that is unpacked in a folder. */
  | { kind: 'archive-put'; path: string; noOverwriteDirNonDir: boolean; copyUidGid: boolean }

/** Rpc stream method `agent.container`, opened by a manager: the first message back is a `ContainerAnswer`, all others are bytes. */
export interface ContainerRequest {
  taskId: string
  call: ContainerCall
}

/** How the Engine answered. */
export interface ContainerAnswer {
  status: number
  headers: Record<string, string>
}

/** Both ways of a call that is under way. */
export interface ContainerExchange {
  readonly answer: Promise<ContainerAnswer>
  /** Resolves when more may be sent. */
  send(chunk: Uint8Array): Promise<void>
  /** Nothing more is sent. */
  end(): void
  /** The answer's body, after its head. */
  body(): AsyncIterable<Uint8Array>
  abort(error?: SwarmctlError): void
}

/** An id that goes into a path of the Engine's: what else a peer may send does not. */
export const requireExecId = (id: string): string => {
  if (/^[0-9a-f]{1,64}$/i.test(id)) return id
  throw invalid(`invalid exec id "${id}"`)
}
