import type { Control } from '../../../src/manager/control/control.ts'

/** Kinds of objects that clients create, change and remove by name. */
export type FileKind = 'config' | 'secret' | 'service'

/** What a read showed: the label that the last write left, and the version to name in an update. */
export interface Seen {
  readonly token: string
  readonly version: number
}

interface Labelled {
  Version: { Index: number }
  Spec: { Labels?: Record<string, string> | undefined }
}

const seenOf = ({ Version, Spec }: Labelled): Seen => ({
  token: Spec.Labels?.token ?? '',
  version: Version.Index,
})

const file = (name: string, token: string) => ({ Name: name, Data: 'c2VjcmV0', Labels: { token } })

const service = (name: string, token: string) => ({
  Name: name,
  Labels: { token },
  TaskTemplate: { ContainerSpec: { Image: 'nginx:1' } },
  Mode: { Replicated: { Replicas: 0 } },
})

/** Each kind's verbs of the control API, with the token of a write in a label. */
export const OBJECT_VERBS = {
  config: {
    create: (control: Control, name: string, token: string) =>
      control.createConfig(file(name, token)),
    read: async (control: Control, name: string, options: { stale?: boolean }) =>
      seenOf(await control.getConfig(name, options)),
    update: (control: Control, name: string, version: number, token: string) =>
      control.updateConfig(name, version, file(name, token)),
    remove: (control: Control, name: string) => control.removeConfig(name),
  },
  secret: {
    create: (control: Control, name: string, token: string) =>
      control.createSecret(file(name, token)),
    read: async (control: Control, name: string, options: { stale?: boolean }) =>
      seenOf(await control.getSecret(name, options)),
    update: (control: Control, name: string, version: number, token: string) =>
      control.updateSecret(name, version, { Name: name, Labels: { token } }),
    remove: (control: Control, name: string) => control.removeSecret(name),
  },
  service: {
    create: (control: Control, name: string, token: string) =>
      control.createService(service(name, token)),
    read: async (control: Control, name: string, options: { stale?: boolean }) =>
      seenOf(await control.getService(name, options)),
    update: (control: Control, name: string, version: number, token: string) =>
      control.updateService(name, version, service(name, token)),
    remove: (control: Control, name: string) => control.removeService(name),
  },
} as const
