import type { Task } from '../../api/task.ts'
import type { Client } from '../client.ts'
import { logFrames } from './log-reader.ts'

/**
 * What a task's container printed last: `tail` lines, a text each; of a terminal, which is no sequence of lines, one text of all. The daemon's
 * own messages are left out. Rejects when the node does not answer before `signal` aborts.
 */
export const lastOutput = async (
  client: Client,
  task: Task,
  tail: number,
  signal: AbortSignal,
): Promise<string[]> => {
  const stream = await client.open({
    path: `/tasks/${task.ID}/logs`,
    query: { stdout: true, stderr: true, tail },
    signal,
  })
  const texts: string[] = []
  if (task.Spec.ContainerSpec?.TTY) {
    stream.setEncoding('utf8')
    for await (const chunk of stream as AsyncIterable<string>) texts.push(chunk)
    return [texts.join('')]
  }
  for await (const { stream: kind, line } of logFrames(stream)) {
    if (kind !== 'system') texts.push(line.toString('utf8'))
  }
  return texts
}
