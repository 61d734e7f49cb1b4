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

/**
 * The `details` of a line: sorted, escaped `key=value` pairs. The docker CLI needs ours to name the task; what the log driver added may not
 * pass for them.
 */
export const logDetails = (task: Task, added = ''): string => {
  const pairs = new Map(
    added
      .split(',')
      .filter((pair) => pair !== '')
      .map((pair) => [pair.split('=', 1)[0]!, pair]),
  )
  for (const [key, id] of [
    ['com.docker.swarm.node.id', task.NodeID],
    ['com.docker.swarm.service.id', task.ServiceID],
    ['com.docker.swarm.task.id', task.ID],
  ] as const) {
    pairs.set(key, `${key}=${encodeURIComponent(id)}`)
  }
  return [...pairs.keys()]
    .sort()
    .map((key) => pairs.get(key))
    .join(',')
}

/** A line as the client asked for it: `[timestamp ][details ]text`. */
export const logLine = (
  message: LogMessage,
  task: Task,
  show: { timestamps: boolean; details: boolean },
): Uint8Array => {
  const prefix = [
    ...(show.timestamps ? [message.timestamp] : []),
    ...(show.details ? [logDetails(task, message.details)] : []),
  ].join(' ')
  return prefix === '' ? message.data : Buffer.concat([Buffer.from(`${prefix} `), message.data])
}
