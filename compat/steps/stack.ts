import type { Chapter } from '../step.ts'

const STACK = `version: '3.8'
services:
  web:
    image: swarmctl-test:1
    ports: ['8100:80']
    networks: [inner]
    configs: [page]
    secrets: [key]
    deploy:
      replicas: 2
      update_config: { parallelism: 0, monitor: 1s }
  other:
    image: swarmctl-test:1
    deploy: { mode: global }
networks: { inner: {} }
configs: { page: { file: ./page } }
secrets: { key: { file: ./key } }
`

const SMALLER = `version: '3.8'
services:
  web:
    image: swarmctl-test:2
    networks: [inner]
    deploy: { replicas: 1, update_config: { monitor: 1s } }
networks: { inner: {} }
`

const deploy = (...flags: string[]) =>
  `stack deploy --resolve-image never ${flags.join(' ')} st`.replace(/ +/g, ' ')

/** `stack`. */
export const stack: Chapter = {
  name: 'stacks',
  anyNode: true,
  files: { 'stack.yml': STACK, 'smaller.yml': SMALLER, page: 'a page', key: 'hidden' },
  steps: [
    { run: 'stack ls' },
    { run: 'stack services absent' },
    { run: 'stack ps absent' },
    { run: 'stack rm absent' },
    { run: deploy('--compose-file {dir}/absent.yml') },
    { run: 'stack config --compose-file {dir}/stack.yml' },
    { run: 'stack config --compose-file {dir}/stack.yml --skip-interpolation' },
    { run: deploy('--compose-file {dir}/stack.yml'), anyOrder: true },
    { run: 'stack ls', when: ['st_web:2', 'st_other:2'] },
    { run: 'stack ls --format {{.Name}}:{{.Services}}' },
    { run: 'stack services st' },
    { run: 'stack services --quiet --filter name=st_web st' },
    { run: "stack services --format '{{.Name}} {{.Replicas}} {{.Ports}}' st" },
    { run: 'stack services --filter colour=red st' },
    { run: 'stack ps st', anyOrder: true },
    { run: 'stack ps --no-resolve --no-trunc st', anyOrder: true },
    { run: 'stack ps --quiet --filter desired-state=running st' },
    {
      run: 'stack ps --filter name=st_web --format {{.Name}}:{{.DesiredState}} st',
      anyOrder: true,
    },
    { run: 'stack ps --filter colour=red st' },
    { run: 'service inspect st_web' },
    { run: 'service inspect st_other' },
    { run: "network inspect --format '{{.Name}} {{.Scope}} {{json .Labels}}' st_inner" },
    { run: 'secret inspect st_key' },
    { run: deploy('--compose-file {dir}/stack.yml', '--with-registry-auth'), anyOrder: true },
    { run: deploy('--compose-file {dir}/smaller.yml', '--prune'), anyOrder: true },
    {
      run: deploy('--compose-file {dir}/smaller.yml', '--detach=false', '--quiet'),
      anyOrder: true,
    },
    { run: deploy('--compose-file {dir}/smaller.yml', '--orchestrator swarm'), anyOrder: true },
    { run: 'stack ls --orchestrator swarm' },
    { run: 'stack ps --orchestrator swarm st', codeOnly: true },
    { run: 'stack services --orchestrator swarm st', codeOnly: true },
    { run: 'stack rm --orchestrator swarm absent' },
    { run: 'stack services st', when: ['st_web:1'] },
    { run: 'stack rm --detach=false absent' },
    { run: 'stack rm st', anyOrder: true },
    { run: 'stack ls' },
    { run: 'network ls --filter name=st_', until: 0, codeOnly: true },
  ],
}
