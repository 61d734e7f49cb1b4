import type { ServiceSpec, TaskSpec } from '../../api/service-spec.ts'
import type { StackConfig } from '../config.ts'
import { checkImageReference } from '../parse/image-reference.ts'
import { present } from '../present.ts'
import { at } from '../stack-error.ts'
import { convertContainer } from './container.ts'
import {
  convertEndpoint,
  convertMode,
  convertPlacement,
  convertResources,
  convertUpdate,
} from './deploy.ts'
import { clusterName, IMAGE_LABEL, withStackLabel } from './namespace.ts'
import { convertAttachments } from './networks.ts'
import { convertRestartPolicy } from './restart.ts'

/** One service's create request. Thrown: StackFileProblem for what the file's schema can't see. */
export const convertService = (
  key: string,
  config: StackConfig,
  namespace: string,
): ServiceSpec => {
  const service = config.services[key] ?? {}
  const deploy = service.deploy ?? {}
  const image = service.image ?? ''
  at(['services', key, 'image'], () => checkImageReference(image))
  return present<ServiceSpec>({
    Name: clusterName(namespace, key),
    Labels: { ...withStackLabel(namespace, deploy.labels), [IMAGE_LABEL]: image },
    TaskTemplate: convertTask(key, config, namespace),
    Mode: at(['services', key, 'deploy', 'mode'], () => convertMode(deploy)),
    UpdateConfig: convertUpdate(deploy.update_config),
    RollbackConfig: convertUpdate(deploy.rollback_config),
    EndpointSpec: convertEndpoint(deploy.endpoint_mode, service.ports),
    Swarmctl: service.swarmctl as ServiceSpec['Swarmctl'],
  })
}

const convertTask = (key: string, config: StackConfig, namespace: string): TaskSpec => {
  const service = config.services[key] ?? {}
  const { resources, restart_policy, placement } = service.deploy ?? {}
  const { driver, options } = service.logging ?? {}
  return present<TaskSpec>({
    ContainerSpec: convertContainer(key, config, namespace),
    Resources: at(['services', key, 'deploy', 'resources'], () => convertResources(resources)),
    RestartPolicy: at(['services', key, 'restart'], () =>
      convertRestartPolicy(service.restart, restart_policy),
    ),
    Placement: convertPlacement(placement),
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
