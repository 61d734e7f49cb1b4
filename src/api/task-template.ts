import { invalid } from './errors.ts'
import { compileTemplate } from './go-template/go-template.ts'
import { FUNCTIONS, type TemplateFunction } from './go-template/template-functions.ts'
import type { Node } from './node.ts'
import type { Task } from './task.ts'
import { taskName } from './task-name.ts'

/** What `{{.Service.…}} {{.Node.…}} {{.Task.…}}` can name (swarmkit `template/context.go`). */
export interface TemplateContext {
  Service: { ID: string; Name: string; Labels: Record<string, string> }
  Node: { ID: string; Hostname: string; Platform: { Architecture: string; OS: string } }
  Task: { ID: string; Name: string; Slot: string }
}

/** Functions of one string argument, by name, e.g. `env`; each throws when it has no answer. */
export type TemplateFunctions = Readonly<Record<string, (argument: string) => string>>

/** The context of a task on its node. */
export const templateContext = (
  task: Task,
  node: Pick<Node['Description'], 'Hostname' | 'Platform'>,
): TemplateContext => ({
  Service: {
    ID: task.ServiceID,
    Name: task.Swarmctl.ServiceName,
    Labels: task.Swarmctl.ServiceLabels,
  },
  Node: { ID: task.NodeID, Hostname: node.Hostname, Platform: node.Platform },
  Task: {
    ID: task.ID,
    Name: taskName(task),
    Slot: task.Slot === undefined ? task.NodeID : String(task.Slot),
  },
})

/** What the docker CLI adds to Go's functions, for its formats only. */
const DOCKERS_OWN = new Set(['json', 'split', 'title', 'lower', 'upper', 'pad', 'truncate'])

/** Go's own functions, and swarmkit's `join` (`template/template.go`), whose separator comes first. */
const SPEC_FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ...[...FUNCTIONS].filter(([name]) => !DOCKERS_OWN.has(name)),
  ['join', (separator, ...parts) => parts.map(String).join(String(separator))],
])

/**
 * Fills in a text that is a Go template: `{{.Service.Name}}`, `{{index .Service.Labels "a"}}`, `{{if eq .Task.Slot "1"}}a{{else}}b{{end}}`, and
 * `{{env "A"}}` where `functions` has it.
 * @throws SwarmctlError INVALID_ARGUMENT
 */
export const expandTemplate = (
  text: string,
  context: TemplateContext,
  functions: TemplateFunctions = {},
): string => {
  if (!text.includes('{{')) return text
  const own = Object.entries(functions).map(([name, run]): [string, TemplateFunction] => [
    name,
    (argument, ...more) => {
      if (typeof argument === 'string' && more.length === 0) return run(argument)
      throw invalid(`${name} wants one text`)
    },
  ])
  const fill = compileTemplate(text, {
    functions: new Map([...SPEC_FUNCTIONS, ...own]),
    keysMustExist: true,
  })
  return fill(context)
}

/** A line of the environment, of which only the value is a template (swarmkit `template/expand.go`). @throws SwarmctlError INVALID_ARGUMENT */
export const expandEnv = (line: string, context: TemplateContext): string => {
  const valueAt = line.indexOf('=') + 1
  return valueAt === 0
    ? line
    : line.slice(0, valueAt) + expandTemplate(line.slice(valueAt), context)
}

/** The hostname that the task's container gets; empty when the spec names none or it can't be filled in. */
export const taskHostname = (
  task: Task,
  node: Pick<Node['Description'], 'Hostname' | 'Platform'>,
): string => {
  const hostname = task.Spec.ContainerSpec?.Hostname ?? ''
  if (!hostname.includes('{{')) return hostname
  try {
    return expandTemplate(hostname, templateContext(task, node))
  } catch {
    // The worker rejects the task with the reason; until then it just has no name.
    return ''
  }
}
