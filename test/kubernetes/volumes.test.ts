import t from 'tap'
import { convert, deploymentOf } from '../support/kubernetes/convert.ts'

/** What a Deployment's container mounts, with or without a group of its pod. */
const mounting = (securityContext: string) => {
  const [namespace] = convert(
    deploymentOf(`${securityContext}
      containers:
      - name: web
        image: web:1
        volumeMounts: [{name: conf, mountPath: /etc/app}, {name: creds, mountPath: /creds}, {name: files, mountPath: /files},
          {name: cache, mountPath: /cache}, {name: log, mountPath: /log}]
      volumes: [{name: conf, configMap: {name: conf}}, {name: creds, secret: {secretName: creds, defaultMode: 0400}},
        {name: files, persistentVolumeClaim: {claimName: files}}, {name: cache, emptyDir: {}}, {name: log, hostPath: {path: /var/log/x}}]`),
    `---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {level: info}
---
apiVersion: v1
kind: Secret
metadata: {name: creds}
stringData: {password: s3cret}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec: {accessModes: [ReadWriteOnce]}
`,
  )
  return namespace?.services[0]?.TaskTemplate.ContainerSpec
}

const folders = (container: ReturnType<typeof mounting>) =>
  container?.Mounts?.map(({ Target, VolumeOptions, Swarmctl }) => [
    Target,
    VolumeOptions?.NoCopy,
    Swarmctl,
  ])

t.test("volumes start empty and are everybody's", async (t) => {
  const container = mounting('')
  const open = { VolumeMode: 0o777 }
  // As container runtimes make it for Kubernetes.
  const made = { CreateMountpoint: true }
  t.strictSame(folders(container), [
    ['/files', true, open],
    ['/cache', true, open],
    ['/log', undefined, made],
  ])
  t.match(container?.Secrets?.[0], { File: { GID: '0', Mode: 0o400 } })
})

t.test("with fsGroup they are the group's, and mounted files are for it to read", async (t) => {
  const container = mounting('securityContext: {runAsUser: 1000, fsGroup: 3000}')
  t.strictSame(container?.Groups, ['3000'])
  t.match(container?.Configs, [{ File: { GID: '3000', Mode: 0o644 } }])
  t.match(container?.Secrets, [{ File: { GID: '3000', Mode: 0o440 } }])
  const grouped = { VolumeMode: 0o2777, VolumeGID: 3000 }
  t.strictSame(folders(container), [
    ['/files', true, grouped],
    ['/cache', true, grouped],
    // A node's own folder stays as it is.
    ['/log', undefined, { CreateMountpoint: true }],
  ])
})

t.test('an empty list of keys is none, and an empty subPath', async (t) => {
  const data = (kind: string) => `---
apiVersion: v1
kind: ${kind}
metadata: {name: both}
${kind === 'Secret' ? 'stringData' : 'data'}: {a: one, b: two}
`
  const mounted = (source: string, subPath: string) => {
    const text =
      deploymentOf(`containers: [{image: web, volumeMounts: [{name: v, mountPath: /etc/x${subPath}}]}]
      volumes: [{name: v, ${source}}]`)
    const [namespace] = convert(text, data('ConfigMap'), data('Secret'))
    const { Configs, Secrets } = namespace?.services[0]?.TaskTemplate.ContainerSpec ?? {}
    return [...(Configs ?? []), ...(Secrets ?? [])].map(({ File }) => File?.Name)
  }
  const whole = ['/etc/x/a', '/etc/x/b']
  for (const source of ['configMap: {name: both', 'secret: {secretName: both']) {
    t.strictSame(mounted(`${source}}`, ''), whole, source)
    t.strictSame(mounted(`${source}, items: []}`, ''), whole, source)
    t.strictSame(mounted(`${source}}`, ', subPath: ""'), whole, source)
    t.strictSame(mounted(`${source}, items: []}`, ', subPath: b'), ['/etc/x'], source)
  }
})

t.test('what volumes cannot be', async (t) => {
  const volume = (source: string, mounts: string) => () =>
    convert(
      deploymentOf(
        `{containers: [{image: web, volumeMounts: [${mounts}]}], volumes: [{name: v, ${source}}]}`,
      ),
    )
  const twice = '{name: v, mountPath: /a}, {name: v, mountPath: /b}'
  const nested = '{name: v, mountPath: /a}, {name: v, mountPath: /b, subPath: b}'
  const apart = '{name: v, mountPath: /a, subPath: a}, {name: v, mountPath: /b, subPath: b}'
  const message = /volumeMounts\.1 mounts v a second time: an emptyDir can be mounted once$/
  t.throws(volume('emptyDir: {}', twice), { message })
  t.throws(volume('emptyDir:', nested), { message })
  t.doesNotThrow(volume('emptyDir: {}', apart))
  t.doesNotThrow(volume('hostPath: {path: /x}', twice))
  t.throws(volume('emptyDir: {medium: Memory, sizeLimit: lots}', '{name: v, mountPath: /a}'), {
    message: /the volume v: "lots" is no quantity above 0$/,
  })
  t.throws(volume('hostPath: {path: /x, type: FileOrCreate}', '{name: v, mountPath: /a}'), {
    message: /FileOrCreate is not supported: a node can make a folder, not a file$/,
  })
})
