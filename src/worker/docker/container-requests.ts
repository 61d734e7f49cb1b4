import { type ContainerCall, requireExecId } from '../../api/container-call.ts'

/** A call as the Engine takes it. */
export interface EngineCall {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  path: string
  body?: object
  /** The peer's bytes are the request's body. */
  takesBody?: boolean
  /** The connection becomes the command's own after the answer. */
  isHijacked?: boolean
}

const archive = (containerId: string, query: Record<string, string>): string =>
  `/containers/${containerId}/archive?${new URLSearchParams(query)}`

/** What the Engine is asked for a call about one of its containers. Throws INVALID_ARGUMENT. */
export const engineCall = (containerId: string, call: ContainerCall): EngineCall => {
  switch (call.kind) {
    case 'inspect':
      return { method: 'GET', path: `/containers/${containerId}/json` }
    case 'exec-create':
      return { method: 'POST', path: `/containers/${containerId}/exec`, body: call.config }
    case 'exec-start':
      return {
        method: 'POST',
        path: `/exec/${requireExecId(call.execId)}/start`,
        body: {
          Detach: call.detach,
          Tty: call.tty,
          ...(call.consoleSize && { ConsoleSize: call.consoleSize }),
        },
        isHijacked: !call.detach,
      }
    case 'exec-resize':
      return {
        method: 'POST',
        path: `/exec/${requireExecId(call.execId)}/resize?h=${Number(call.height)}&w=${Number(call.width)}`,
      }
    case 'exec-inspect':
      return { method: 'GET', path: `/exec/${requireExecId(call.execId)}/json` }
    case 'archive-stat':
      return { method: 'HEAD', path: archive(containerId, { path: call.path }) }
    case 'archive-get':
      return { method: 'GET', path: archive(containerId, { path: call.path }) }
    case 'archive-put':
      return {
        method: 'PUT',
        path: archive(containerId, {
          path: call.path,
          ...(call.noOverwriteDirNonDir && { noOverwriteDirNonDir: '1' }),
          ...(call.copyUidGid && { copyUIDGID: '1' }),
        }),
        takesBody: true,
      }
    default:
      return call satisfies never
  }
}
