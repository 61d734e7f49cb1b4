import { type Mount, mountType } from '../../api/service-spec.ts'
import { expandTemplate, type TemplateContext } from '../../api/task-template.ts'

/** A mount of the spec as the create request has it: the same shape, placeholders filled in. */
export const mountBody = (mount: Mount, context: TemplateContext): object => {
  const fill = (text: string): string => expandTemplate(text, context)
  const fillValues = (map: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [key, fill(value)]))
  const { Source, Target, VolumeOptions, Swarmctl = {}, ...rest } = mount
  // The executor sees to volumes' folders: no Engine does.
  const { TmpfsMode, VolumeMode: _, VolumeGID: __, ...bind } = Swarmctl
  return {
    ...rest,
    Type: mountType(mount),
    ...(Object.keys(bind).length > 0 && { BindOptions: { ...mount.BindOptions, ...bind } }),
    ...(TmpfsMode !== undefined && { TmpfsOptions: { ...mount.TmpfsOptions, Mode: TmpfsMode } }),
    ...(Source === undefined ? {} : { Source: fill(Source) }),
    ...(Target === undefined ? {} : { Target: fill(Target) }),
    ...(VolumeOptions === undefined
      ? {}
      : {
          VolumeOptions: {
            ...VolumeOptions,
            ...(VolumeOptions.Labels === undefined
              ? {}
              : { Labels: fillValues(VolumeOptions.Labels) }),
            ...(VolumeOptions.DriverConfig?.Options === undefined
              ? {}
              : {
                  DriverConfig: {
                    ...VolumeOptions.DriverConfig,
                    Options: fillValues(VolumeOptions.DriverConfig.Options),
                  },
                }),
          },
        }),
  }
}
