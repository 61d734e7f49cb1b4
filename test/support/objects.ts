import type { Network } from '../../src/api/network.ts'
import type { Node } from '../../src/api/node.ts'
import type { Secret } from '../../src/api/secret.ts'
import type { Service } from '../../src/api/service.ts'
import { ServiceSpec } from '../../src/api/service-spec.ts'
import type { Cluster } from '../../src/api/swarm.ts'
import type { Task } from '../../src/api/task.ts'
import type { NodeUsage, TaskUsage } from '../../src/api/usage.ts'
import { withSwarmDefaults } from '../../src/manager/ca/create-cluster.ts'
import { newMeta } from '../../src/manager/store/new-meta.ts'

/** Small valid objects for tests; `change` replaces top-level properties. */

export const sampleService = (
  id: string,
  name: string,
  change: Partial<Service> = {},
): Service => ({
  ...newMeta(id),
  Spec: ServiceSpec.parse({ Name: name, TaskTemplate: { ContainerSpec: { Image: 'nginx' } } }),
  Endpoint: { Spec: {} },
  Swarmctl: { SpecVersion: 0 },
  ...change,
})

export const sampleTask = (id: string, serviceId: string, change: Partial<Task> = {}): Task => ({
  ...newMeta(id),
  Labels: {},
  Spec: { ContainerSpec: { Image: 'nginx' } },
  ServiceID: serviceId,
  Slot: 1,
  NodeID: '',
  Status: { Timestamp: '', State: 'new', Message: '' },
  DesiredState: 'running',
  Swarmctl: {
    SpecVersion: 1,
    ServiceName: serviceId,
    ServiceLabels: {},
    Endpoint: {},
    DrainLimit: 0,
  },
  ...change,
})

export const sampleNode = (id: string, index: number, change: Partial<Node> = {}): Node => ({
  ...newMeta(id),
  Spec: { Labels: {}, Role: 'worker', Availability: 'active' },
  Description: {
    Hostname: `host-${index}`,
    Platform: { Architecture: 'x86_64', OS: 'linux' },
    Resources: { NanoCPUs: 4e9, MemoryBytes: 8e9 },
    Engine: { EngineVersion: '28.0.0', Labels: {}, Plugins: [] },
    Swarmctl: {
      Version: '0.1.0',
      DataPlane: 'kernel',
      DataPathAddr: `192.168.0.${index}`,
      EngineError: '',
      DataPlaneNote: '',
      HostSubnets: [],
    },
  },
  Status: { State: 'ready', Addr: `192.168.0.${index}` },
  Swarmctl: {
    Index: index,
    ObservedRole: change.Spec?.Role ?? 'worker',
    Addr: `192.168.0.${index}:2377`,
  },
  ...change,
})

export const sampleNetwork = (
  id: string,
  name: string,
  change: Partial<Network> = {},
): Network => ({
  ...newMeta(id),
  Spec: {
    Name: name,
    Labels: {},
    DriverConfiguration: { Name: 'overlay', Options: {} },
    IPv6Enabled: false,
    Internal: false,
    Attachable: false,
    Ingress: false,
    IPAMOptions: { Configs: [] },
    Scope: 'swarm',
  },
  DriverState: { Name: 'overlay', Options: {} },
  IPAMOptions: { Configs: [] },
  Swarmctl: { Index: 0, Plan: 'blocks', Gateways: {} },
  ...change,
})

export const sampleSecret = (id: string, name: string): Secret => ({
  ...newMeta(id),
  Spec: { Name: name, Labels: {}, Data: 'c2VjcmV0' },
})

export const sampleCluster = (change: Partial<Cluster> = {}): Cluster => ({
  ...newMeta('cluster1'),
  Spec: withSwarmDefaults({ Name: 'default', Labels: {} }),
  TLSInfo: { TrustRoot: '', CertIssuerSubject: '', CertIssuerPublicKey: '' },
  RootRotationInProgress: false,
  DefaultAddrPool: ['10.0.0.0/8'],
  SubnetSize: 16,
  DataPathPort: 4789,
  JoinTokens: { Worker: 'SWMTKN-1-a-b', Manager: 'SWMTKN-1-a-c' },
  Swarmctl: { RootCAKey: 'key', RootCACert: 'cert', RemovedNodes: [] },
  ...change,
})

/** What a node reports of its tasks. */
export const sampleUsage = (
  nodeId: string,
  atMs: number,
  tasks: readonly Pick<TaskUsage, 'TaskID' | 'CPUTotal' | 'Memory'>[],
): NodeUsage => ({
  ...{ NodeID: nodeId, AtMs: atMs, CPUs: 1, CPUTotal: 0, Error: '' },
  ...{ Memory: 0, MemoryTotal: 0, Load: [0, 0, 0] },
  Tasks: tasks.map((task) => ({
    ...{ ...task, MemoryLimit: 0, PIDs: 1 },
    ...{ NetworkReceived: 0, NetworkSent: 0, DiskRead: 0, DiskWritten: 0 },
  })),
})
