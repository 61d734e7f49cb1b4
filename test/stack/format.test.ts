import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { convertStack } from '../../src/stack/convert/stack.ts'
import { formatConfig } from '../../src/stack/format.ts'
import { loadStack } from '../../src/stack/load.ts'
import { load } from '../support/stack/memory-stack.ts'

const FULL = `
services:
  web:
    image: nginx
    command: sh -c "echo $$HOME"
    build: .
    environment: {YES: "yes", OCTAL: "010", TIME: "1:30", DATE: "2001-01-01", EMPTY: , "TRUE": "true"}
    ports: ["8080:80"]
    networks: [front, default]
    healthcheck: {test: x, interval: 1m30s}
    stop_grace_period: 90s
    secrets: [s]
    volumes: [{type: tmpfs, target: /t, tmpfs: {size: 5}}, "./a:/a"]
    ulimits: {nofile: 5}
    deploy:
      update_config: {delay: 10s, monitor: 500ms}
      restart_policy: {delay: 5s, window: 1h}
      resources: {limits: {cpus: "0.5", memory: 64M}}
    x-swarmctl: {drain_limit: 30s}
    x-other: {a: 1}
networks: {front: {external: true, name: shared}}
secrets: {s: {file: ./s.txt}}
x-top: [1, 2]
`

t.test('the output says the same as the input', async (t) => {
  const { config } = await load(FULL)
  const text = formatConfig(config)
  const again = await load(text)
  t.strictSame(again.config, config)
  t.equal(formatConfig(again.config), text, 'and is in its final form')
  t.match(text, /^version: "3\.13"\nservices:\n {2}web:\n/)
  t.match(text, 'interval: 1m30s')
  t.match(text, 'memory: "67108864"')
  t.match(text, 'source: /srv/app/a')
  t.match(text, 'echo $$HOME')
})

t.test('what the docker CLI knows in one form only is printed so', async (t) => {
  const { config } = await load(`services:
  a:
    image: i
    depends_on: [c, b]
    shm_size: 1g
    devices: [/dev/x, "/dev/y:/dev/z:r", {source: "/dev/a:b", target: /dev/c}]
    cgroup: host
    build: ./a
    expose: [80, "81/udp"]
  b: {image: i, depends_on: {c: {condition: service_started}}}
  c: {image: i, depends_on: {d: {condition: service_started, required: false}}}
`)
  const text = formatConfig(config)
  t.strictSame((await load(text)).config, config)
  t.match(text, 'depends_on:\n      - c\n      - b\n')
  t.match(text, '- /dev/x:/dev/x\n      - /dev/y:/dev/z:r\n      - permissions: rwm\n')
  t.match(text, '  b:\n    depends_on:\n      - c\n')
  t.match(text, 'required: false')
  t.match(text, 'shm_size: "1073741824"')
  t.match(text, '    cgroupns_mode: host\n')
  t.match(text, '    build:\n      context: ./a\n')
  t.match(text, '    expose:\n      - "80"\n      - 81/udp\n')
})

t.test('any string survives', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.stringMatching(/^[A-Za-z0-9_.]{1,8}$/), fc.string({ unit: 'binary' })),
      async (labels) => {
        const { config } = await load('services: {a: {image: i}}')
        const withLabels = { ...config, services: { a: { image: 'i', labels } } }
        const again = await load(formatConfig(withLabels))
        t.strictSame({ ...again.config.services.a?.labels }, { ...labels })
      },
    ),
    { numRuns: 50, seed: 1 },
  )
})

t.test('without interpolation a dollar stays', async (t) => {
  const { config } = await load('services: {a: {image: "i", command: ["$$x"]}}')
  t.match(formatConfig(config, { interpolated: false }), '- $x')
})

t.test('the examples load and convert without a warning', async (t) => {
  const folder = join(import.meta.dirname, '../../examples')
  const io = { readText: (path: string) => readFile(path, 'utf8'), readBytes: readFile }
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yml'))
  t.ok(files.length > 0)
  const env = { SHOP_VERSION: 'v1', DB_PASSWORD: 'x' }
  for (const file of files) {
    const { config, warnings } = await loadStack({ files: [file], env, workdir: folder, io })
    t.strictSame(warnings, [], file)
    const { services } = await convertStack(config, 'demo', io)
    t.ok(services.length > 0, file)
  }
})
