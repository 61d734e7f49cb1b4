import type { Chapter } from '../step.ts'

/** Before there is a cluster. */
export const outside: Chapter = {
  name: 'outside a swarm',
  steps: [
    ...[
      ...['node ls', 'service ls', 'stack ls', 'secret ls', 'config ls', 'swarm ca'],
      ...['swarm join-token worker', 'swarm unlock-key', 'swarm unlock', 'swarm leave'],
      ...['swarm update --task-history-limit 3', 'service create swarmctl-test:1', 'stack ps x'],
      ...[
        'network create --driver overlay x',
        'network ls --filter scope=swarm',
        'node inspect self',
      ],
      ...['stack deploy --compose-file {dir}/stack.yml x', 'swarm join --token x {managerIp}:1'],
      'swarm init --availability away',
      'swarm init --advertise-addr 300.1.1.1',
      'swarm init --advertise-addr 203.0.113.9 --listen-addr 203.0.113.9:2377',
      'swarm init --advertise-addr {managerIp} --default-addr-pool 10.1.1.1',
      'swarm init --advertise-addr {managerIp} --data-path-port 80',
    ].map((run) => ({ run })),
    { run: 'swarm init --advertise-addr {managerIp} --cert-expiry 1m' },
    // Swarm has made the cluster before it looks at that.
    { run: 'swarm leave --force', codeOnly: true },
    { run: "info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'" },
  ],
  files: { 'stack.yml': "version: '3.8'\nservices: { a: { image: 'swarmctl-test:1' } }\n" },
}

/** A cluster is made with every flag. */
export const formation: Chapter = {
  name: 'init and join',
  steps: [
    {
      run: 'swarm init --advertise-addr {managerIp} --listen-addr {managerIp}:2377 --data-path-addr {managerIp} --data-path-port 4789 --availability active --cert-expiry 720h --dispatcher-heartbeat 10s --max-snapshots 2 --snapshot-interval 5000 --task-history-limit 3 --default-addr-pool 10.20.0.0/16 --default-addr-pool-mask-length 24',
    },
    { run: 'swarm init' },
    { run: 'info', codeOnly: true },
    { run: "info --format '{{json .Swarm}}'" },
    { run: 'swarm join-token worker' },
    { run: 'swarm join-token manager' },
    { run: 'swarm join-token --quiet worker' },
    { run: 'swarm join-token --rotate worker' },
    { run: 'swarm join-token --rotate --quiet manager' },
    { run: 'swarm join-token king' },
    { run: 'swarm join --token SWMTKN-1-x {managerIp}:2377', on: 'worker' },
    {
      run: 'swarm join --token {token:worker} --advertise-addr {workerIp} --listen-addr {workerIp}:2377 --data-path-addr {workerIp} --availability active {managerIp}:2377',
      on: 'worker',
    },
    { run: 'swarm join --token {token:worker} {managerIp}:2377', on: 'worker' },
    ...['node ls', 'service ls', 'swarm join-token worker', 'swarm ca', 'swarm unlock-key'].map(
      (run) => ({ run, on: 'worker' as const }),
    ),
    { run: 'network create --driver overlay x', on: 'worker' },
    { run: 'network ls', on: 'worker' },
    { run: "info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'", on: 'worker' },
  ],
}

/** What can be changed in a running cluster. */
export const settings: Chapter = {
  name: 'swarm settings',
  steps: [
    {
      run: 'swarm update --cert-expiry 48h --dispatcher-heartbeat 9s --max-snapshots 1 --snapshot-interval 9000 --task-history-limit 4',
    },
    { run: "info --format '{{json .Swarm.Cluster.Spec}}'" },
    { run: 'swarm update' },
    { run: 'swarm update --cert-expiry 1m' },
    { run: 'swarm update --external-ca protocol=cfssl,url=https://ca.example.com' },
    { run: 'swarm update --external-ca nonsense' },
    { run: 'swarm unlock-key' },
    { run: 'swarm unlock' },
    { run: 'swarm update --autolock=true' },
    { run: 'swarm unlock-key' },
    { run: 'swarm unlock-key --quiet' },
    { run: 'swarm unlock-key --rotate' },
    { run: 'swarm unlock-key --rotate --quiet' },
    { run: 'swarm update --autolock=false' },
    { run: 'swarm unlock-key --rotate' },
    { run: 'swarm ca' },
    { run: 'swarm ca --cert-expiry 72h' },
    { run: 'swarm ca --ca-key {dir}/absent --rotate' },
    { run: 'swarm ca --rotate --detach --cert-expiry 72h' },
    { run: 'swarm ca --rotate --quiet' },
    { run: 'swarm ca --rotate --external-ca protocol=cfssl,url=https://ca.example.com --detach' },
    { run: 'swarm ca --rotate --ca-cert {dir}/absent --detach' },
  ],
}

/** The end of a cluster. */
export const departure: Chapter = {
  name: 'leave',
  steps: [
    { run: 'swarm leave', on: 'worker' },
    { run: 'swarm leave', on: 'worker' },
    { run: 'node rm {worker}', until: 0 },
    { run: 'node ls' },
    { run: 'swarm join --token {token:manager} {managerIp}:2377', on: 'worker' },
    { run: 'swarm leave', on: 'worker' },
    { run: 'node demote {worker}' },
    { run: 'swarm leave --force', on: 'worker', until: 0 },
    { run: 'node rm --force {worker}', until: 0 },
    { run: 'swarm leave' },
    { run: 'swarm init --force-new-cluster --advertise-addr {managerIp}' },
    { run: 'node ls' },
    { run: 'swarm leave --force' },
    { run: 'swarm leave' },
    { run: 'swarm init --autolock --advertise-addr {managerIp}' },
    { run: 'swarm unlock-key' },
    { run: 'swarm init --external-ca protocol=cfssl,url=https://ca.example.com' },
    { run: 'swarm leave --force' },
    { run: 'node ls' },
  ],
}
