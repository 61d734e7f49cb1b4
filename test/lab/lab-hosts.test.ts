/** The lab itself: hosts are apart, reach each other, die, come back, and leave nothing behind. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { eventually } from '../support/lab/eventually.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { bridgeName, isLinkOf, labDir } from '../support/lab/names.ts'
import { identify } from '../support/lab/process-table.ts'
import { TEST_IMAGE } from '../support/lab/test-image.ts'

labTest(t, 'hosts of a lab', { hosts: 3, clients: 1 }, async (t, lab) => {
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)]

  await t.test('each host has its own name, network and Engine', async (t) => {
    for (const host of lab.hosts) {
      t.equal((await host.exec('hostname')).stdout.trim(), host.name)
      const info = (await host.engineRequest('/info')).json<{ Name: string; Images: number }>()
      t.equal(info.Name, host.name)
      t.equal(info.Images, 5)
      await host.docker(['run', '-d', '--name', 'web', '-p', '8080:80', `${TEST_IMAGE}:1`])
      t.equal((await host.docker(['ps', '-q'])).stdout.trim().split('\n').length, 1)
    }
  })

  await t.test('hosts, clients and the test itself reach each other', async (t) => {
    await h1.exec('busybox', ['ping', '-c1', '-W2', h2.ip])
    const asked = await lab.client(1).exec('curl', ['-sS', `http://${h3.ip}:8080/`])
    t.match(JSON.parse(asked.stdout), { version: '1', remote: lab.client(1).ip })
    const answer = (await (await fetch(`http://${h2.ip}:8080/`)).json()) as { remote: string }
    t.equal(answer.remote, lab.machineIp)
  })

  await t.test('a command fails with what it printed, and ends in time', async (t) => {
    await t.rejects(h1.exec('sh', ['-c', 'echo why; exit 3']), /exit code 3\nwhy/)
    await t.rejects(h1.exec('sleep', ['60'], { timeoutMs: 200 }), /no end after 200 ms/)
    t.equal((await h1.exec('cat', [], { input: 'given' })).stdout, 'given')
    t.equal((await h1.exec('false', [], { check: false })).code, 1)
  })

  await t.test('a partition and a cut link separate, and heal', async (t) => {
    const reaches = async (ip: string) =>
      (await h1.exec('busybox', ['ping', '-c1', '-W1', ip], { check: false })).code === 0
    await lab.partition([[h1, h2], [h3]])
    t.equal(await reaches(h2.ip), true)
    t.equal(await reaches(h3.ip), false)
    await h2.cutLink()
    t.equal(await reaches(h2.ip), false)
    await lab.heal()
    await eventually(async () => (await reaches(h2.ip)) && reaches(h3.ip), { what: 'all reached' })
  })

  await t.test('containers outlive a killed Engine', async (t) => {
    const before = await containerPid(h1)
    await h1.killEngine()
    await h1.exec('kill', ['-0', String(before)])
    await h1.startEngine()
    t.equal((await h1.engineRequest('/_ping')).status, 200)
  })

  await t.test('a reboot ends everything on a host and keeps its disk', async (t) => {
    const daemon = await h2.spawn(['sleep', '1000'])
    const first = h2.firstPid
    h2.die()
    await daemon.waitForEnd()
    t.equal(identify(first), undefined)
    t.equal((await h1.exec('busybox', ['ping', '-c1', '-W1', h2.ip], { check: false })).code, 1)
    await h2.reboot()
    t.match((await h2.docker(['ps', '-a'])).stdout, /Exited/)
    await h1.exec('busybox', ['ping', '-c1', '-W2', h2.ip])
  })

  await lab.close()
  t.notOk(existsSync(labDir(lab.slot)), 'no folder')
  t.notOk(existsSync(`/sys/class/net/${bridgeName(lab.slot)}`), 'no bridge')
  const names = readdirSync('/run/netns').filter((name) => isLinkOf(lab.slot, name))
  t.strictSame(names, [], 'no namespace')
  t.notMatch(readFileSync('/proc/mounts', 'utf8'), labDir(lab.slot), 'no mount')
  const processes = readdirSync('/proc').filter((pid) =>
    commandLine(pid).includes(labDir(lab.slot)),
  )
  t.strictSame(processes, [], 'no process')
})

async function containerPid(host: { docker(args: string[]): Promise<{ stdout: string }> }) {
  return Number((await host.docker(['inspect', '-f', '{{.State.Pid}}', 'web'])).stdout)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
