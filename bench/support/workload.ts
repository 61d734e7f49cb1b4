import { TEST_IMAGE } from '../../test/support/lab/test-image.ts'

/** Ends at once on SIGTERM, so that no row measures a stop's grace period. */
export const COMMAND = ['sh', '-c', 'trap "exit 0" TERM; sleep 100000 & wait']
export const IMAGE = `${TEST_IMAGE}:1`

/** A service without networks and published ports. `restartDelayNs`: else the default of `service create`. */
export const serviceBody = (name: string, replicas: number, restartDelayNs?: number): object => ({
  Name: name,
  TaskTemplate: {
    ContainerSpec: { Image: IMAGE, Command: COMMAND },
    ...(restartDelayNs === undefined
      ? {}
      : { RestartPolicy: { Condition: 'any', Delay: restartDelayNs } }),
  },
  Mode: { Replicated: { Replicas: replicas } },
})
