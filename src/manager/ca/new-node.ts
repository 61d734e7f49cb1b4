import type { Node, NodeSpec } from '../../api/node.ts'
import { newMeta } from '../store/new-meta.ts'

/** What is known of a node when it gets its first certificate; the rest its agent tells when it registers. */
export interface NewNode {
  nodeId: string
  role: 'worker' | 'manager'
  availability: NodeSpec['Availability']
  hostname: string
  index: number
  /** host:port of its cluster port. */
  addr: string
  /** Its IP address. */
  ip: string
}

/** The object of a node that just joined. */
export const newNode = (joined: NewNode): Node => ({
  ...newMeta(joined.nodeId),
  Spec: { Labels: {}, Role: joined.role, Availability: joined.availability },
  Description: {
    Hostname: joined.hostname,
    Platform: { Architecture: '', OS: '' },
    Resources: { NanoCPUs: 0, MemoryBytes: 0 },
    Engine: { EngineVersion: '', Labels: {}, Plugins: [] },
    Swarmctl: {
      Version: '',
      DataPlane: 'kernel',
      DataPathAddr: '',
      EngineError: '',
      DataPlaneNote: '',
      HostSubnets: [],
    },
  },
  Status: { State: 'unknown', Message: 'waiting for its agent', Addr: joined.ip },
  Swarmctl: { Index: joined.index, ObservedRole: joined.role, Addr: joined.addr },
})
