import { Option } from 'commander'

/** The flags of `daemon` (design §3), which `init` and `join` pass on when they start one. */
export const daemonFlags = (): Option[] => [
  new Option('--data-dir <path>', 'Where the node keeps its state').default('/var/lib/swarmctl'),
  new Option('--run-dir <path>', 'Runtime files, and the tmpfs for secrets').default(
    '/run/swarmctl',
  ),
  new Option('--socket <path>', 'API socket (default: docker.sock in the run directory)'),
  new Option('--docker-host <host>', 'Docker Engine to run containers on').default(
    'unix:///var/run/docker.sock',
  ),
  new Option('--data-plane <kind>', 'How services are balanced')
    .choices(['auto', 'kernel', 'proxy'])
    .default('auto'),
  new Option('--data-path-port <port>', 'UDP port of the overlay (VXLAN)').default('4789'),
]

/** Command-line arguments that repeat parsed daemon flags. */
export const daemonArguments = (options: Record<string, unknown>): string[] =>
  daemonFlags().flatMap((flag) => {
    const value = options[flag.attributeName()]
    return value === undefined ? [] : [flag.long as string, String(value)]
  })
