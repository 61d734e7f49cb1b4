import type { Command } from 'commander'
import { invalid, unavailable } from '../../api/errors.ts'
import type { Node } from '../../api/node.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { CliContext, Runner } from '../context.ts'
import { LiveLines } from '../live-lines.ts'
import { patiently } from '../patiently.ts'
import { postSwarmUpdate } from './post-update.ts'
import { progressLines, rotationProgress } from './rotation-progress.ts'
import { type CASettings, readPem, withCAConfig, withCASettings } from './settings-flags.ts'

/** Pause between two looks, milliseconds: Docker's. */
const POLL_MS = 200

interface CAOptions extends CASettings {
  rotate?: boolean
  caCert?: string
  caKey?: string
  detach?: boolean
  quiet?: boolean
}

/** `swarmctl swarm ca`: shows the root CA, or puts another one in its place. */
export const caVerb = (parent: Command, run: Runner): void => {
  withCASettings(parent.command('ca'))
    .description('Show the root CA, or rotate it')
    .option('--rotate', 'Put a new root CA in the place of the present one, without interruption')
    .option('--ca-cert <file>', "With --rotate: the certificate (PEM) of a root CA of one's own")
    .option('--ca-key <file>', 'With --rotate: the key (PEM) of that CA')
    .option('-d, --detach', "Don't wait until every node has a new certificate")
    .option('-q, --quiet', 'Wait without showing progress')
    .addHelpText('after', '\nExample:\n  swarmctl swarm ca --rotate --cert-expiry 720h\n')
    .action(
      run(async (context, options: CAOptions) => {
        const swarm = await context.client.call<Cluster>({ path: '/swarm' })
        requireFittingFlags(options)
        if (!options.rotate) return showRoot(context, swarm)
        await beginRotation(context, swarm, options)
        if (options.detach) return
        await waitForRotation(context, options.quiet === true)
        if (options.quiet) return
        showRoot(context, await context.client.call<Cluster>({ path: '/swarm' }))
      }),
    )
}

/** Docker's checks, in Docker's words. */
const requireFittingFlags = (options: CAOptions): void => {
  const { rotate, caCert, caKey, certExpiry, externalCa } = options
  const needing = { 'ca-cert': caCert, 'ca-key': caKey, 'cert-expiry': certExpiry }
  for (const [flag, value] of Object.entries({ ...needing, 'external-ca': externalCa })) {
    if (rotate || value === undefined) continue
    throw invalid(`\`--${flag}\` flag requires the \`--rotate\` flag to update the CA`)
  }
  if (externalCa && caCert === undefined) {
    throw invalid(
      "rotating to an external CA requires the `--ca-cert` flag to specify the external CA's cert - to add an external CA with the current root CA certificate, use the `update` command instead",
    )
  }
  if (caCert !== undefined && caKey === undefined && !externalCa) {
    throw invalid(
      'the --ca-cert flag requires that a --ca-key flag and/or --external-ca flag be provided as well',
    )
  }
}

const beginRotation = async (
  context: CliContext,
  swarm: Cluster,
  options: CAOptions,
): Promise<void> => {
  const read = (path: string | undefined) => (path === undefined ? '' : readPem(context, path))
  const [SigningCACert, SigningCAKey] = [await read(options.caCert), await read(options.caKey)]
  const before = swarm.Spec.CAConfig ?? {}
  const isNew = SigningCACert === '' && SigningCAKey === ''
  const CAConfig = {
    ...(await withCAConfig(context, before, options, SigningCACert)),
    SigningCACert,
    SigningCAKey,
    ForceRotate: (before.ForceRotate ?? 0) + (isNew ? 1 : 0),
  }
  await postSwarmUpdate(context.client, swarm, { ...swarm.Spec, CAConfig })
}

/** Ends when every node has a certificate of the new root and trusts no other; Ctrl-C leaves it to go on. */
const waitForRotation = async (context: CliContext, isQuiet: boolean): Promise<void> => {
  const { client, output } = context
  const display = isQuiet ? undefined : await LiveLines.open(output)
  for (;;) {
    // The rotation goes on while another leader is found, and while this node's daemon takes up its new certificate.
    const swarm = await patiently(context, () => client.call<Cluster>({ path: '/swarm' }))
    const nodes = await patiently(context, () => client.call<Node[]>({ path: '/nodes' }))
    const progress = rotationProgress(swarm, nodes)
    display?.show(progressLines(progress))
    if (progress.isDone) return display?.end()
    await context.sleep(POLL_MS)
  }
}

const showRoot = ({ output }: CliContext, { TLSInfo }: Cluster): void => {
  if (TLSInfo.TrustRoot === '') throw unavailable('No CA information available')
  output.write(`${TLSInfo.TrustRoot.trim()}\n`)
}
