/** Who may import whom (docs/design): a folder of `src` → the path beginnings it may reach besides its own. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  api: [],
  backup: ['src/api/'],
  raft: [],
  rpc: ['src/api/'],
  pki: ['src/api/'],
  manager: ['src/api/', 'src/rpc/', 'src/pki/'],
  worker: ['src/api/', 'src/rpc/'],
  overlay: ['src/api/'],
  yaml: [],
  stack: ['src/api/', 'src/yaml/'],
  kubernetes: ['src/api/', 'src/yaml/'],
  http: ['src/api/', 'src/manager/control/'],
  cli: ['src/api/', 'src/stack/', 'src/kubernetes/'],
  daemon: [
    'src/api/',
    'src/backup/',
    'src/raft/',
    'src/rpc/',
    'src/pki/',
    'src/manager/',
    'src/worker/',
    'src/overlay/',
    'src/stack/',
    'src/http/',
  ],
}

/** Files in which consensus touches the disk or the clock; every other file of `src/raft` is pure. */
export const RAFT_WITH_IO = /^src\/raft\/(?:node|clock|wal|wal-.+|state-.+|.+-storage)\.ts$/

/** What decides: a function of its inputs, with no part of Node but assertions and comparison. */
export const PURE = [
  'src/api/**/*.ts',
  'src/raft/**/*.ts',
  'src/manager/{store,scheduler,orchestrator,allocator,autoscaler}/**/*.ts',
  'src/overlay/{forwarding-table,kernel-tables,link-model,name-clients,nft-model,nft-script,resolver-rules,view}*.ts',
  'src/overlay/dns/{answer,names}.ts',
  'src/worker/{attachments,container-networks,task-progress,task-steps,backoff,executor,overlay-port}.ts',
]

/** Parts of Node that neither read nor change anything outside. */
export const HARMLESS = new Set(['node:assert', 'node:assert/strict', 'node:util'])

/**
 * Where the real clock, timers and random numbers come from; everybody else is handed them. The proxy's sockets
 * time themselves out: with them time is IO, and nothing is decided by it. The relay's socket sends at the end of a turn what came in it,
 * and DNS answers a client's next query in the next turn.
 */
export const MAY_TELL_TIME =
  /^(?:src\/daemon\/|src\/cli\/|bin\/|src\/overlay\/(?:proxy\/(?:dialer|tunnel|udp-listener)|relay\/relay|dns\/tcp-client)\.ts)/

export const TIME_OR_CHANCE =
  /\b(?:Date\.now|Math\.random|performance\.now)\b|\bnew Date\(\)|(?<![.\w])(?:setTimeout|setInterval|setImmediate)\(|node:timers/
