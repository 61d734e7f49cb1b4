import { GoTime } from '../../api/go-template/go-values.ts'
import type { Node } from '../../api/node.ts'
import { memorySize } from '../sizes.ts'
import { block, capital, labelLines, line } from './lines.ts'

const NANO_CPUS = 1e9

const managerLines = ({ ManagerStatus }: Node): string[] =>
  ManagerStatus
    ? [
        ...line('Address', ManagerStatus.Addr, 1),
        ...line('Raft Status', capital(ManagerStatus.Reachability), 1),
        ...line('Leader', ManagerStatus.Leader ? 'Yes' : 'No', 1),
      ]
    : []

const pluginLines = ({ Description }: Node): string[] =>
  [...Map.groupBy(Description.Engine.Plugins ?? [], ({ Type }) => Type)].flatMap(([type, all]) =>
    line(type, all.map(({ Name }) => Name).join(', '), 1),
  )

const tlsLines = ({ Description: { TLSInfo } }: Node): string[] =>
  TLSInfo
    ? [
        'TLS Info:',
        ' TrustRoot:',
        TLSInfo.TrustRoot.trimEnd(),
        ...line('Issuer Subject', TLSInfo.CertIssuerSubject, 1),
        ...line('Issuer Public Key', TLSInfo.CertIssuerPublicKey, 1),
      ]
    : []

/** `node inspect --pretty`. */
export const prettyNode = (node: Node): string => {
  const { Description, Spec, Status } = node
  const { Resources, Platform, Engine } = Description
  return [
    ...line('ID', node.ID),
    ...line('Name', Spec.Name),
    ...block('Labels', labelLines(Spec.Labels)),
    ...line('Hostname', Description.Hostname),
    ...line('Joined at', new GoTime(node.CreatedAt)),
    'Status:',
    ...line('State', capital(Status.State), 1),
    ...line('Message', capital(Status.Message ?? ''), 1),
    ...line('Availability', capital(Spec.Availability), 1),
    ...line('Address', Status.Addr, 1),
    ...block('Manager Status', managerLines(node)),
    'Platform:',
    ...line('Operating System', Platform.OS, 1),
    ...line('Architecture', Platform.Architecture, 1),
    'Resources:',
    ...line('CPUs', Resources.NanoCPUs / NANO_CPUS, 1),
    ...line('Memory', memorySize(Resources.MemoryBytes), 1),
    ...block('Plugins', pluginLines(node)),
    ...line('Engine Version', Engine.EngineVersion),
    ...block('Engine Labels', labelLines(Engine.Labels)),
    ...tlsLines(node),
  ].join('\n')
}
