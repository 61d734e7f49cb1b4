import type { ServiceSpec, TaskSpec } from '../../api/service-spec.ts'
import { IMAGE_LABEL } from '../../api/stack-labels.ts'
import { autoscaleProblem } from '../../api/validate/autoscale.ts'
import { requireFixedAddresses } from '../../api/validate/container-extension.ts'
import { scheduleProblem } from '../../api/validate/schedule.ts'
import type { DeployConfig, ServiceConfig, StackConfig } from '../config.ts'
import { checkImageReference } from '../parse/image-reference.ts'
import { present } from '../present.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { convertContainer } from './container.ts'
import { convertDependencies, isAwaitedJob } from './dependencies.ts'
import { convertEndpoint, convertMode, convertPlacement, convertUpdate } from './deploy.ts'
import { clusterName, withStackLabel } from './namespace.ts'
import { convertAttachments } from './networks.ts'
import { convertResources } from './resources.ts'
import { convertRestartPolicy } from './restart.ts'

/** One service's create request. Thrown: StackFileProblem for what the file's schema can't see. */
export const convertService = (
  key: string,
  config: StackConfig,
  namespace: string,
): ServiceSpec => {
  const service = config.services[key] ?? {}
  const isJob = isAwaitedJob(key, config)
  const deploy = deployOf(key, service, isJob)
  const image = service.image ?? ''
  if (image === '' && service.unused?.build !== undefined) {
    throw new StackFileProblem(['services', key, 'build'], BUILD_ONLY)
  }
  at(['services', key, 'image'], () => checkImageReference(image))
  const Mode = at(['services', key, 'deploy', 'mode'], () => convertMode(deploy))
  const Swarmctl = convertExtension(key, config, namespace)
  const TaskTemplate = convertTask(key, config, namespace)
  for (const [field, problem] of [
    ['schedule', scheduleProblem({ Mode, Swarmctl })],
    ['autoscale', autoscaleProblem({ Mode, Swarmctl, TaskTemplate })],
  ] as const) {
    if (problem === undefined) continue
    throw new StackFileProblem(['services', key, 'x-swarmctl', field], problem)
  }
  const spec = present<ServiceSpec>({
    Name: clusterName(namespace, key),
    Labels: { ...withStackLabel(namespace, deploy.labels), [IMAGE_LABEL]: image },
    TaskTemplate,
    Mode,
    UpdateConfig: isJob ? undefined : convertUpdate(deploy.update_config),
    RollbackConfig: isJob ? undefined : convertUpdate(deploy.rollback_config),
    EndpointSpec: convertEndpoint(deploy.endpoint_mode, service.ports),
    Swarmctl,
  })
  at(['services', key, 'networks'], () => requireFixedAddresses(spec))
  return spec
}

const BUILD_ONLY =
  'a cluster does not build: build the image, push it to a registry that the nodes reach, and name it under image'

/** A job that others wait for runs once, and `scale` is another word for replicas. Thrown: StackFileProblem. */
const deployOf = (
  key: string,
  { deploy = {}, scale }: ServiceConfig,
  isJob: boolean,
): DeployConfig => {
  if (scale !== undefined && deploy.replicas !== undefined && scale !== deploy.replicas) {
    const text = 'is not what deploy.replicas says; keep one of them'
    throw new StackFileProblem(['services', key, 'scale'], text)
  }
  const replicas = deploy.replicas ?? scale
  return {
    ...deploy,
    ...(replicas !== undefined && { replicas }),
    ...(isJob && { mode: 'replicated-job', replicas: replicas ?? 1 }),
  }
}

/** `x-swarmctl` and what else Swarm's bodies can't say of a service. */
const convertExtension = (
  key: string,
  config: StackConfig,
  namespace: string,
): ServiceSpec['Swarmctl'] => {
  const dependencies = convertDependencies(key, config, namespace)
  const { swarmctl } = config.services[key] ?? {}
  if (dependencies === undefined) return swarmctl as ServiceSpec['Swarmctl']
  return { DependsOn: dependencies, ...swarmctl }
}

const convertTask = (key: string, config: StackConfig, namespace: string): TaskSpec => {
  const service = config.services[key] ?? {}
  const { restart_policy, placement } = service.deploy ?? {}
  const { driver, options } = service.logging ?? {}
  return present<TaskSpec>({
    ContainerSpec: convertContainer(key, config, namespace),
    Resources: convertResources(service, ['services', key]),
    RestartPolicy: at(['services', key, 'restart'], () =>
      convertRestartPolicy(service.restart, restart_policy),
    ),
    Placement: convertPlacement(placement, service.platform),
    Networks: convertAttachments(key, config, namespace),
    LogDriver:
      service.logging &&
      present<{ Name?: string; Options?: Record<string, string> }>({
        Name: driver || undefined,
        Options: options,
      }),
    ForceUpdate: 0,
  })
}
