import { GoTime } from '../../api/go-template/go-values.ts'
import { block, labelLines, line } from './lines.ts'

interface DataObject {
  ID: string
  CreatedAt: string
  UpdatedAt: string
  Spec: {
    Name: string
    Labels: Record<string, string>
    Driver?: { Name: string }
    Data?: string
  }
}

/** `secret inspect --pretty` and `config inspect --pretty`. */
export const prettyData = (object: DataObject, kind: 'secret' | 'config'): string =>
  [
    ...line('ID', object.ID),
    ...line('Name', object.Spec.Name),
    ...block('Labels', labelLines(object.Spec.Labels)),
    ...(kind === 'secret' ? line('Driver', object.Spec.Driver?.Name) : []),
    ...line('Created at', new GoTime(object.CreatedAt)),
    ...line('Updated at', new GoTime(object.UpdatedAt)),
    ...(kind === 'config' && object.Spec.Data !== undefined
      ? ['Data:', Buffer.from(object.Spec.Data, 'base64').toString('utf8')]
      : []),
  ].join('\n')
