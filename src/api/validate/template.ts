import { invalid } from '../errors.ts'
import type { ContainerSpec } from '../service-spec.ts'
import { expandEnv, expandTemplate, type TemplateContext } from '../task-template.ts'

/** Stands for any task: a template that can be filled in for it can be filled in everywhere. */
const SAMPLE: TemplateContext = {
  Service: { ID: 'serviceid', Name: 'servicename', Labels: {} },
  Node: {
    ID: 'nodeid',
    Hostname: 'nodehostname',
    Platform: { Architecture: 'amd64', OS: 'linux' },
  },
  Task: { ID: 'taskid', Name: 'taskname', Slot: '1' },
}

const requireTemplate = (field: string, text: string, expand = expandTemplate): void => {
  if (!text.includes('{{')) return
  try {
    expand(text, SAMPLE)
  } catch (error) {
    throw invalid(`invalid template in ${field} "${text}": ${(error as Error).message}`)
  }
}

/** Checks every text that the worker fills in: environment, hostname and mounts. */
export const requireContainerTemplates = (container: ContainerSpec): void => {
  requireTemplate('hostname', container.Hostname ?? '')
  for (const env of container.Env ?? []) requireTemplate('env', env, expandEnv)
  for (const mount of container.Mounts ?? []) {
    requireTemplate('mount source', mount.Source ?? '')
    requireTemplate('mount target', mount.Target ?? '')
    const volume = mount.VolumeOptions
    for (const label of Object.values(volume?.Labels ?? {})) requireTemplate('volume label', label)
    for (const option of Object.values(volume?.DriverConfig?.Options ?? {})) {
      requireTemplate('volume driver option', option)
    }
  }
}
