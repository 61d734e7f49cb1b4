import { invalid } from './errors.ts'
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

const lookUp = (context: TemplateContext, path: string): unknown => {
  let value: unknown = context
  for (const key of path.split('.').slice(1)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}

const indexed = /^index\s+(\.[\w.]+)\s+"([^"]*)"$/
const called = /^(\w+)\s+"([^"]*)"$/
/** Go's way to write `{{` itself. */
const quoted = /^"([^"\\]*)"$/

const evaluate = (
  expression: string,
  context: TemplateContext,
  functions: TemplateFunctions,
): string => {
  const index = indexed.exec(expression)
  if (index !== null) {
    const map = lookUp(context, index[1] ?? '')
    if (typeof map !== 'object' || map === null) throw invalid(`no map ${index[1]}`)
    const value = (map as Record<string, unknown>)[index[2] ?? '']
    // As in Go, a missing key is the empty string.
    return typeof value === 'string' ? value : ''
  }
  const call = called.exec(expression)
  const run = functions[call?.[1] ?? '']
  if (call !== null && run !== undefined) return run(call[2] ?? '')
  const text = quoted.exec(expression)
  if (text !== null) return text[1] ?? ''
  const value = expression.startsWith('.') ? lookUp(context, expression) : undefined
  if (typeof value === 'string') return value
  throw invalid(`"${expression}" is not a placeholder that can be filled in`)
}

/**
 * Fills in the placeholders of a text: `{{.Service.Name}}`, `{{index .Service.Labels "a"}}`, `{{"text"}}`, and `{{ env "A" }}` where
 * `functions` has it.
 * Other statements of Go templates (`if`, `range`, pipelines) are refused.
 * @throws SwarmctlError INVALID_ARGUMENT
 */
export const expandTemplate = (
  text: string,
  context: TemplateContext,
  functions: TemplateFunctions = {},
): string =>
  text.includes('{{')
    ? text.replace(
        /(\s*)\{\{(-?)\s*([^}]*?)\s*(-?)\}\}(\s*)/g,
        (
          _,
          before: string,
          trimBefore: string,
          expression: string,
          trimAfter: string,
          after: string,
        ) =>
          (trimBefore === '-' ? '' : before) +
          evaluate(expression, context, functions) +
          (trimAfter === '-' ? '' : after),
      )
    : text

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
