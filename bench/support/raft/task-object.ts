import type { Task } from '../../../src/api/task.ts'
import { sampleTask } from '../../../test/support/objects.ts'

const TASKS_PER_SERVICE = 1_000
const NODES = 100

/** A running task as a cluster has them: about 600 bytes when it is stored. */
export const benchTask = (at: number): Task => {
  const service = String(Math.floor(at / TASKS_PER_SERVICE)).padStart(25, 's')
  return sampleTask(String(at).padStart(25, 't'), service, {
    Slot: (at % TASKS_PER_SERVICE) + 1,
    NodeID: String(at % NODES).padStart(25, 'n'),
    Spec: {
      ContainerSpec: {
        Image: 'registry.example.com/team/service:1.27.3',
        Env: ['MODE=production', 'LOG_LEVEL=info'],
      },
    },
    Status: {
      Timestamp: '2026-01-01T00:00:00.000Z',
      State: 'running',
      Message: 'started',
      ContainerStatus: { ContainerID: String(at).padStart(64, 'c'), PID: 4711, ExitCode: 0 },
    },
  })
}
