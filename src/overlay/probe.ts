import { SwarmctlError } from '../api/errors.ts'
import type { DataPlaneKind } from '../api/node.ts'
import type { Exec } from './exec.ts'

/** What `--data-plane` asks for. */
export type DataPlaneChoice = 'auto' | DataPlaneKind

/** Which plane a node runs; `note` says why it fell back, empty otherwise. */
export interface DataPlaneProbe {
  plane: DataPlaneKind
  note: string
}

const TOOLS = [
  { command: 'nft', args: ['--version'], from: 'package nftables' },
  { command: 'conntrack', args: ['--version'], from: 'package conntrack' },
] as const

/** What the rules need: a round-robin map with concatenated keys, NAT, route hook, marks. Deleted in the same transaction. */
const SCRATCH = `table ip swarmctl_probe {
  map ep { typeof ip daddr . numgen inc mod 65536 : ip daddr; }
  map vip { type ipv4_addr : verdict; }
  chain raw { type filter hook prerouting priority -300; meta iifkind "bridge" fib daddr . iif type != local notrack; }
  chain rr { ct mark set ct mark | 0x10000000 dnat ip to ip daddr . numgen inc mod 2 map @ep; }
  chain pre { type nat hook prerouting priority -105; ip daddr vmap @vip; }
  chain out { type route hook output priority -150; ct direction reply meta mark set ct mark & 0x0fff0000; }
  chain isolate { type filter hook prerouting priority -140; fib saddr . iif oif missing ct direction original drop; }
  chain forwarded { type filter hook forward priority -5; fib daddr type local meta l4proto tcp reject with tcp reset; }
}
delete table ip swarmctl_probe
`

/**
 * Finds out which plane this host can run.
 * @throws SwarmctlError FAILED_PRECONDITION when `ip` is missing, or when `kernel` was asked for and can't be had
 */
export const probeDataPlane = async (
  exec: Exec,
  choice: DataPlaneChoice,
): Promise<DataPlaneProbe> => {
  for (const command of ['ip', 'bridge']) {
    if ((await exec.run(command, ['-V'])).code === 127) {
      throw new SwarmctlError(
        'FAILED_PRECONDITION',
        `the program ${command} is missing, which overlay networks need: install the package iproute2`,
      )
    }
  }
  if (choice === 'proxy') return { plane: 'proxy', note: '' }
  const note = await whyNoKernelPlane(exec)
  if (note === '') return { plane: 'kernel', note: '' }
  if (choice === 'kernel') {
    throw new SwarmctlError(
      'FAILED_PRECONDITION',
      `the kernel data plane can't run: ${note}; or start with --data-plane auto`,
    )
  }
  return { plane: 'proxy', note: `balancing by the embedded proxy: ${note}` }
}

const whyNoKernelPlane = async (exec: Exec): Promise<string> => {
  const missing: string[] = []
  for (const tool of TOOLS) {
    const found = await exec.run(tool.command, tool.args)
    if (found.code !== 0) missing.push(`${tool.command} (${tool.from})`)
  }
  if (missing.length > 0) return `missing: ${missing.join(', ')}`
  const scratch = await exec.run('nft', ['-f', '-'], SCRATCH)
  if (scratch.code === 0) return ''
  return `nftables does not take the rules: ${scratch.stderr.trim().split('\n')[0]}`
}
