import type { ContainerEvent, ContainerHealth } from '../executor.ts'
import { TASK_ID_LABEL } from './container-body.ts'

/** The Engine's event stream, as far as the agent needs it: one JSON object a line. */
interface EngineEvent {
  Type?: string
  Action?: string
  Actor?: { ID?: string; Attributes?: Record<string, string> }
}

const HEALTH_ACTION = 'health_status: '

/** An event of a task's container that changes what the agent does, else undefined. */
export const containerEvent = (event: EngineEvent): ContainerEvent | undefined => {
  const taskId = event.Actor?.Attributes?.[TASK_ID_LABEL]
  const containerId = event.Actor?.ID
  const action = event.Action ?? ''
  if (event.Type !== 'container' || taskId === undefined || containerId === undefined)
    return undefined
  if (action === 'die') {
    const exitCode = Number(event.Actor?.Attributes?.exitCode ?? 0)
    return { kind: 'died', taskId, containerId, exitCode }
  }
  if (action === 'destroy') return { kind: 'removed', taskId, containerId }
  if (action.startsWith(HEALTH_ACTION)) {
    const health = action.slice(HEALTH_ACTION.length) as ContainerHealth
    return { kind: 'health', taskId, containerId, health }
  }
  return undefined
}

/** The longest line of the event stream; an Engine that sends longer ones is not understood. Bytes. */
const EVENT_BYTES_MAX = 1024 * 1024

/** Cuts a stream of JSON lines into objects; lines that are no JSON are skipped. */
export async function* jsonLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > EVENT_BYTES_MAX) throw new Error('the Engine sent a line that is too long')
    for (const line of lines) {
      if (line.trim() === '') continue
      try {
        yield JSON.parse(line)
      } catch {
        // The Engine never sends such a line; one that is damaged must not end the stream.
      }
    }
  }
}
