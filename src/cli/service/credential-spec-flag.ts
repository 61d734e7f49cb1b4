import type { Draft } from './draft.ts'
import { badFlag } from './key-values.ts'

const SOURCES = { file: 'File', registry: 'Registry', config: 'Config' } as const

/** `--credential-spec`: `file://…`, `registry://…` or `config://NAME`, which becomes a reference to the config; empty takes it away. */
export const applyCredentialSpec = (draft: Draft, value: string, flag: string): void => {
  const { container } = draft
  const { CredentialSpec: _, ...others } = container.Privileges ?? {}
  // A config is referred to for its use at run time, not as a file.
  const configs = (container.Configs ?? []).filter((ref) => ref.Runtime === undefined)
  if (value === '') {
    container.Privileges = others
    container.Configs = configs
    return
  }
  const [, scheme, rest = ''] = /^(file|registry|config):\/\/(.+)$/.exec(value) ?? []
  if (scheme === undefined) {
    throw badFlag(flag, value, 'expected file://NAME, registry://KEY or config://NAME')
  }
  const kind = SOURCES[scheme as keyof typeof SOURCES]
  container.Privileges = { ...others, CredentialSpec: { [kind]: rest } }
  const runtime = { Runtime: {}, ConfigID: '', ConfigName: rest }
  container.Configs = kind === 'Config' ? [...configs, runtime] : configs
}
