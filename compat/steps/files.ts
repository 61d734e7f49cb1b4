import type { Chapter, Step } from '../step.ts'

const stepsOf = (noun: 'secret' | 'config'): Step[] => [
  { run: `${noun} ls` },
  { run: `${noun} create one -`, input: 'text' },
  { run: `${noun} create --label a=1 --label b two {dir}/text` },
  { run: `${noun} create --template-driver golang three {dir}/text` },
  { run: `${noun} create one -`, input: 'other' },
  { run: `${noun} create 'bad name' -`, input: 'x' },
  { run: `${noun} create empty -`, input: '' },
  { run: `${noun} create none {dir}/absent` },
  { run: `${noun} ls` },
  { run: `${noun} ls --quiet --filter name=t` },
  { run: `${noun} ls --filter label=a=1 --format '{{.Name}} {{.CreatedAt}}'` },
  { run: `${noun} ls --filter label=absent` },
  { run: `${noun} ls --filter id=zzz` },
  { run: `${noun} ls --filter colour=red` },
  { run: `${noun} inspect one two` },
  { run: `${noun} inspect --pretty two`, anyOrder: true },
  { run: `${noun} inspect --format '{{.Spec.Name}} {{json .Spec.Labels}}' one two` },
  { run: `${noun} inspect absent` },
  { run: `${noun} inspect one absent` },
  { run: `service create --name user --detach --no-resolve-image --${noun} one swarmctl-test:1` },
  { run: `${noun} rm one` },
  { run: `service rm user` },
  { run: `${noun} rm two three absent` },
  { run: `${noun} rm one`, until: 0 },
  { run: `${noun} ls` },
]

/** `secret` and `config`. */
export const files: Chapter = {
  name: 'secrets and configs',
  files: { text: 'some text\n' },
  steps: [
    ...stepsOf('secret'),
    ...stepsOf('config'),
    { run: 'secret create --driver absent external' },
    { run: 'secret inspect external' },
    { run: 'secret rm external' },
  ],
}
