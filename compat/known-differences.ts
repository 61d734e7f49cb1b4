/** A difference that has a name. `docs/compatibility.md` explains each under its id. */
export interface KnownDifference {
  readonly id: string
  /** `engine`: a limit of the Engine; `improvement`: better than Swarm; `open`: still to be mended, so the run fails by it. */
  readonly kind: 'engine' | 'improvement' | 'open'
  /** Of `docker` ARGS. */
  readonly command: RegExp
  /** The differing lines that it explains, their sign included. */
  readonly lines: readonly RegExp[]
}

const ANY = /./

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: 'own-words',
    kind: 'improvement',
    command: /^swarm init .*(300\.1\.1\.1|203\.0\.113\.9|cert-expiry 1m)/,
    lines: [/^[-+] err /],
  },
  {
    id: 'own-words',
    kind: 'improvement',
    command:
      /^service create .*\{\{\.Nothing\}\}|^secret create --driver|^swarm leave$|^node (demote|update --role)/,
    lines: [/^[-+] err /],
  },
  {
    id: 'refused-before',
    kind: 'improvement',
    command: /^swarm leave --force$/,
    lines: [/^- exit 0$/, /^\+ exit 1$/],
  },
  {
    id: 'data-path-port',
    kind: 'improvement',
    command: /--data-path-port 80$/,
    lines: [/^[-+] err /],
  },
  {
    id: 'no-gwbridge',
    kind: 'improvement',
    command: /^network /,
    lines: [/docker_gwbridge/, /\.(ingress-sbox|lb-[^.]+)\./],
  },
  {
    id: 'one-vxlan',
    kind: 'improvement',
    command: /^network inspect/,
    lines: [/vxlanid_list|ipam\.serial/, /^\+ out \[\]\.Options: empty$/],
  },
  {
    id: 'mesh-has-no-members',
    kind: 'improvement',
    command: /^network inspect ingress/,
    lines: [/\.Peers\[\]/, /^\+ out \[\]\.Containers: empty$/],
  },
  {
    id: 'verbose-everywhere',
    kind: 'improvement',
    command: /^network inspect --verbose/,
    lines: [/\.Services/, /\.Peers/],
  },
  {
    id: 'worker-networks',
    kind: 'improvement',
    command: /^network ls$/,
    lines: [/^- out <id> ingress overlay swarm$/],
  },
  {
    id: 'no-leftovers',
    kind: 'improvement',
    command: /^network ls$/,
    lines: [/^- out <id> (full|plain) overlay swarm$/],
  },
  {
    id: 'early-refusal',
    kind: 'improvement',
    command: /overlap$|type=bind,target=\/a |target=relative |--sysctl kernel\.hostname/,
    lines: [ANY],
  },
  {
    id: 'early-refusal',
    kind: 'improvement',
    command: /^network ls --filter dangling/,
    lines: [/^- out (overlap|secret)$/],
  },
  {
    id: 'newer-engines',
    kind: 'engine',
    command: /^network ls --filter name=l/,
    lines: [/^\+ out <id> (full|plain) overlay swarm$/],
  },
  {
    id: 'one-port-line',
    kind: 'improvement',
    command: /^service ps /,
    lines: [/\*:8082->80\/tcp(,\*:8082->80\/tcp)?$/],
  },
  {
    id: 'spec-unchanged',
    kind: 'improvement',
    command: /^service inspect/,
    lines: [
      /TaskTemplate\.(Runtime|ContainerSpec\.Isolation|RestartPolicy\.Window)\b/,
      /\.Endpoint\.Spec(\.Mode)?: /,
    ],
  },
  {
    id: 'no-effect-is-said',
    kind: 'improvement',
    command: /^service (create|update)/,
    lines: [/^\+ err \S+: (kept, but without effect|this field is not known)/],
  },
]
