import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext, Runner } from '../context.ts'
import { compileFormat } from '../format/compile-format.ts'
import { nodePath } from '../node/resolve.ts'
import type { Output } from '../output.ts'
import { renderTable } from '../output.ts'
import { findOrNone, tasksByName, tasksOf } from '../task-target.ts'
import { gatherNode, gatherService } from './facts.ts'
import { diagnoseNode } from './node-diagnosis.ts'
import { type Diagnosis, diagnoseService } from './service-diagnosis.ts'

/** The tasks of the same seat: what became of a task is told by those before and after it. */
const seatOf = async (context: CliContext, task: Task): Promise<Task[]> =>
  (await tasksOf(context, task.ServiceID)).filter((other) =>
    task.Slot === undefined ? other.NodeID === task.NodeID : other.Slot === task.Slot,
  )

const nodeOf = async (context: CliContext, ref: string): Promise<Node | undefined> =>
  findOrNone<Node>(context, await nodePath(context, ref))

const diagnose = async (context: CliContext, ref: string): Promise<Diagnosis> => {
  const path = encodeURIComponent(ref)
  const service = await findOrNone<Service>(context, `/services/${path}`)
  if (service) return diagnoseService(await gatherService(context, service))
  const named = await tasksByName(context, ref)
  if (named) {
    const facts = await gatherService(context, named.service, named.tasks)
    return diagnoseService(facts, { name: ref })
  }
  const task = await findOrNone<Task>(context, `/tasks/${path}`)
  if (task) {
    const owner = await findOrNone<Service>(context, `/services/${task.ServiceID}`)
    if (!owner) {
      throw new SwarmctlError('NOT_FOUND', `the service of task ${ref} was removed, its task ends`)
    }
    const facts = await gatherService(context, owner, await seatOf(context, task))
    return diagnoseService(facts, { name: ref, state: task.Status.State })
  }
  const node = await nodeOf(context, ref)
  if (node) return diagnoseNode(await gatherNode(context, node))
  throw new SwarmctlError('NOT_FOUND', `no such service, task or node: ${ref}`)
}

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `\n${title}\n${lines.map((line) => `  ${line}\n`).join('')}`

const indented = (table: string): string[] => table.split('\n').filter((line) => line !== '')

const placementTable = ({ Kind, Placement }: Diagnosis): string =>
  renderTable(
    Kind === 'node'
      ? ['SERVICE', 'TASKS', 'VERDICT']
      : ['NODE', 'TASKS', 'CPU', 'MEMORY', 'VERDICT'],
    Placement.map((row) => ({
      NODE: row.Node,
      SERVICE: row.Node,
      TASKS: String(row.Tasks),
      CPU: row.CPU,
      MEMORY: row.Memory,
      VERDICT: row.Verdict,
    })),
  )

const restartTable = (rows: Diagnosis['Restarts']): string =>
  renderTable(
    ['TASK', 'ENDED', 'LAST', 'NODE', 'CAUSES', 'NEXT'],
    rows.map((row) => ({
      TASK: row.Task,
      ENDED: String(row.Count),
      LAST: row.Last,
      NODE: row.Node,
      CAUSES: row.Causes.join('; '),
      NEXT: row.Next,
    })),
  )

/** A diagnosis for people. */
const renderDiagnosis = (found: Diagnosis): string => {
  const verdict = found.AsItShouldBe ? 'as it should be' : 'not as it should be'
  const placement =
    found.Kind === 'node' ? 'One more task of each service, here' : 'One more task, node by node'
  return [
    `${found.Kind} ${found.Name}: ${found.Summary}, ${verdict}\n`,
    section('Why', found.Reasons),
    section(placement, found.Placement.length === 0 ? [] : indented(placementTable(found))),
    section(
      'Ended tasks',
      found.Restarts.length === 0 ? [] : indented(restartTable(found.Restarts)),
    ),
    section(
      'Health checks',
      found.Health.flatMap(({ Task: name, Node: node, Status, Checks }) => [
        `${name} on ${node}: ${Status}`,
        ...Checks.map((check) => `  ${check}`),
      ]),
    ),
    ...found.Logs.map(({ Task: name, Node: node, Lines }) =>
      section(`Last lines of ${name} on ${node}`, Lines),
    ),
  ].join('')
}

const print = (output: Output, found: Diagnosis, format: string | undefined): void => {
  if (format === undefined) output.write(renderDiagnosis(found))
  else if (format === 'json') output.write(`${JSON.stringify(found, null, 4)}\n`)
  else output.write(`${compileFormat(format)(found)}\n`)
}

/** `swarmctl why`: why something does not run where and as it should. */
export const whyVerb = (program: Command, run: Runner): void => {
  program
    .command('why')
    .description(
      'Tell why a service, a task or a node is not as it should be: placement node by node, ended tasks, exit codes, health, last log lines',
    )
    .argument('<service|task|node>', 'A name or an id; a task also as web.2')
    .option('--format <format>', 'json, or a template')
    .addHelpText('after', '\nExample:\n  swarmctl why web\n')
    .action(
      run(async (context, ref: string, options: { format?: string }) =>
        print(context.output, await diagnose(context, ref), options.format),
      ),
    )
}
