import type { ContainerEvent, ContainerHealth } from '../executor.ts'
import { NODE_ID_LABEL, TASK_ID_LABEL } from './container-body.ts'

/** The Engine's event stream, as far as the agent needs it: one JSON object a line. */
interface EngineEvent {
  Type?: string
  Action?: string
  Actor?: { ID?: string; Attributes?: Record<string, string> }
}

const HEALTH_ACTION = 'health_status: '

/** What changes a container's attachments, for the filter of `GET /events` as well. */
const CONTAINER_ACTIONS: readonly string[] = ['start', 'die', 'destroy', 'rename']

/** All that the agent wants to hear of. `health_status` stands for all of its kinds. */
export const EVENT_FILTERS = {
  type: ['container', 'network'],
  event: [...CONTAINER_ACTIONS, 'disconnect', 'health_status'],
} as const

const ofNetwork = ({ Action, Actor }: EngineEvent): ContainerEvent | undefined => {
  const containerId = Actor?.Attributes?.container ?? ''
  return Action === 'disconnect' && containerId !== ''
    ? { kind: 'disconnected', containerId }
    : undefined
}

/** An event that changes what the agent does, for a container of a node's tasks or for one that is nobody's; else undefined. */
export const containerEvent = (event: EngineEvent, nodeId: string): ContainerEvent | undefined => {
  if (event.Type === 'network') return ofNetwork(event)
  const { [TASK_ID_LABEL]: taskId, [NODE_ID_LABEL]: node } = event.Actor?.Attributes ?? {}
  const containerId = event.Actor?.ID
  const action = event.Action ?? ''
  if (event.Type !== 'container' || containerId === undefined) return undefined
  if (taskId === undefined)
    return CONTAINER_ACTIONS.includes(action) ? { kind: 'changed', containerId } : undefined
  if (node !== nodeId) return undefined
  if (action === 'die') {
    const exitCode = Number(event.Actor?.Attributes?.exitCode ?? 0)
    return { kind: 'died', taskId, containerId, exitCode }
  }
  if (action === 'start') return { kind: 'started', taskId, containerId }
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
