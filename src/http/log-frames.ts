import type { LogMessage } from '../api/assignment.ts'
import type { Task } from '../api/task.ts'

/** Stream numbers of the Engine's multiplexed log format; 3 carries an error of the system itself. */
const STREAMS = { stdout: 1, stderr: 2, system: 3 } as const

/** One frame: type, three zeros, big-endian length, exactly one line. */
export const logFrame = (stream: keyof typeof STREAMS, line: Uint8Array): Buffer => {
  const head = Buffer.alloc(8)
  head[0] = STREAMS[stream]
  head.writeUInt32BE(line.length, 4)
  return Buffer.concat([head, line])
}

/** The `details` that the docker CLI needs to name the task: sorted, escaped `key=value` pairs. */
export const logDetails = (task: Task): string =>
  [
    ['com.docker.swarm.node.id', task.NodeID],
    ['com.docker.swarm.service.id', task.ServiceID],
    ['com.docker.swarm.task.id', task.ID],
  ]
    .map(([key, value]) => `${encodeURIComponent(key!)}=${encodeURIComponent(value!)}`)
    .join(',')

/** A line as the client asked for it: `[timestamp ][details ]text`. */
export const logLine = (
  message: LogMessage,
  task: Task,
  show: { timestamps: boolean; details: boolean },
): Uint8Array => {
  const prefix = [
    ...(show.timestamps ? [message.timestamp] : []),
    ...(show.details ? [logDetails(task)] : []),
  ].join(' ')
  return prefix === '' ? message.data : Buffer.concat([Buffer.from(`${prefix} `), message.data])
}
