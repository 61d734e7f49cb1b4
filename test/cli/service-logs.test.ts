import t from 'tap'
import { runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleService, sampleTask } from '../support/objects.ts'

t.test('what is shown without the name of its task is the bytes of the log', async (t) => {
  const node = await startNode(t)
  const service = sampleService('web1', 'web')
  const ContainerStatus = { ContainerID: 'c1', PID: 1, ExitCode: 0 }
  const Status = { Timestamp: '', State: 'running', Message: '', ContainerStatus } as const
  // Two parts of a character, and one that is none in UTF-8 (Latin-1's ß).
  const whole = Buffer.concat([Buffer.from('日本 Gr'), Buffer.from([0xfc, 0xdf, 0x65, 0x0a])])
  const parts = [whole.subarray(0, 4), whole.subarray(4)]
  const message = { timestamp: '2026-01-02T03:04:05Z', stream: 'stdout' } as const
  node.swarm.logs.set(
    'task1',
    parts.map((data) => ({ ...message, data })),
  )
  for (const TTY of [true, false]) {
    service.Spec.TaskTemplate.ContainerSpec!.TTY = TTY
    await node.swarm.store.update((tx) => {
      tx.put('service', service)
      tx.put('task', sampleTask('task1', 'web1', { NodeID: NODE_ID, Status }))
    })
    const got: Uint8Array[] = []
    const ran = await runCli(['-H', node.host, 'service', 'logs', '--raw', 'web'], {
      onBytes: (chunk) => got.push(chunk),
    })
    t.match(ran, { code: 0, err: '' })
    t.strictSame(Buffer.concat(got).toString('hex'), whole.toString('hex'), `terminal: ${TTY}`)
  }
})
