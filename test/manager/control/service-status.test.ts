import t from 'tap'
import type { Task } from '../../../src/api/task.ts'
import { serviceStatus } from '../../../src/manager/control/service-status.ts'
import { sampleService, sampleTask } from '../../support/objects.ts'

const task = (State: Task['Status']['State'], DesiredState: Task['DesiredState'], index?: number) =>
  sampleTask('t', 's', {
    DesiredState,
    Status: { Timestamp: '', State, Message: '' },
    ...(index !== undefined && { JobIteration: { Index: index } }),
  })

const counts = (mode: object, tasks: Task[], iteration?: number) => {
  const service = sampleService('s', 'web')
  const status = serviceStatus(
    {
      ...service,
      Spec: { ...service.Spec, Mode: mode },
      ...(iteration !== undefined && { JobStatus: { JobIteration: { Index: iteration } } }),
    },
    tasks,
  )
  return [status.RunningTasks, status.DesiredTasks, status.CompletedTasks]
}

t.test('the counts of ?status=true are Swarm’s', async (t) => {
  const running = task('running', 'running')
  const gone = task('shutdown', 'shutdown')
  t.strictSame(counts({ Replicated: { Replicas: 3 } }, [running, gone]), [1, 3, 0])
  t.strictSame(counts({ Global: {} }, [running, task('new', 'running'), gone]), [1, 2, 0])
  const job = [task('complete', 'complete', 1), task('running', 'complete', 1)]
  const before = task('complete', 'complete', 0)
  t.strictSame(counts({ ReplicatedJob: { MaxConcurrent: 2 } }, [...job, before], 1), [1, 2, 1])
  t.strictSame(
    counts({ GlobalJob: {} }, [...job, before], 1),
    [1, 1, 1],
    'what is still to be done',
  )
  t.strictSame(counts({ GlobalJob: {} }, [job[0]!], 1), [0, 0, 1])
})
