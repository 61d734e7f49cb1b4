/**
 * Encrypted networks by the whole product, on both data planes: what tasks of different hosts send each other is not on the wire, and
 * arrives all the same. A network without the option is the control: there the capture sees the marker.
 */
import t from 'tap'
import { inspectTask, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import type { Lab } from '../support/lab/lab.ts'
import { labTest } from '../support/lab/lab-test.ts'

const CREATE = ['service', 'create', '--quiet', '--no-resolve-image']
const SUBNETS = {
  plain: '10.61.0.0/16',
  vault: '10.62.0.0/16',
  tiny: '10.63.7.0/24',
  mesh: '10.64.0.0/16',
}
const MARKER = 'not-for-the-wire'
/** Of a thousand markers. */
const BULK_BLOCKS = 500

/**
 * Reads what passes a host's underlay device until it is told to stop. Prints packets that hold the marker, VXLAN packets to the plain
 * port, and among those the ones whose inner addresses begin with the given bytes.
 */
const CAPTURE = `use strict; my ($device, $marker, @prefixes) = @ARGV;
open(my $f, '<', "/sys/class/net/$device/ifindex") or die; my $index = <$f>;
socket(my $s, 17, 3, 0x0300) or die "socket: $!";
setsockopt($s, 1, 33, pack('i', 64*1024*1024));
bind($s, pack('S n i S C C a8', 17, 3, $index, 0, 0, 0, '')) or die "bind: $!";
my ($marked, $vxlan, $inner, $all, $stop) = (0, 0, 0, 0, 0); $SIG{TERM} = sub { $stop = 1 };
$| = 1; print "capturing\\n";
until ($stop) {
  vec(my $r = '', fileno($s), 1) = 1; next if select($r, undef, undef, 0.2) <= 0;
  defined recv($s, my $p, 65536, 0) or next; $all++;
  $marked++ if index($p, $marker) >= 0;
  next unless length $p > 76 && unpack('n', substr $p, 12) == 0x0800 && ord(substr $p, 23) == 17;
  next unless unpack('n', substr $p, 36) == 4789; $vxlan++;
  my ($from, $to) = (substr($p, 76, 4), substr($p, 80, 4));
  for my $prefix (map { pack 'C*', split /[.]/ } @prefixes) {
    $inner++ if grep { substr($_, 0, length $prefix) eq $prefix } $from, $to;
  }
}
print "marked=$marked vxlan=$vxlan inner=$inner all=$all\\n";`

interface Captured {
  marked: number
  vxlan: number
  inner: number
  all: number
}

/** What a host's underlay shows while `run` runs. */
const captured = async (host: LabHost, run: () => Promise<void>): Promise<Captured> => {
  const args = ['perl', '-e', CAPTURE, 'eth0', MARKER, '10.62', '10.63.7', '10.64']
  const capture = await host.spawn(args)
  await eventually(async () => capture.log().includes('capturing'), { what: 'the capture runs' })
  await run()
  await capture.stop()
  const counts = /marked=(\d+) vxlan=(\d+) inner=(\d+) all=(\d+)/.exec(capture.log())
  if (counts === null) throw new Error(capture.log())
  const [marked = 0, vxlan = 0, inner = 0, all = 0] = counts.slice(1).map(Number)
  return { marked, vxlan, inner, all }
}

/** A service of one task on one host. */
const place = async (lab: Lab, name: string, on: LabHost, network: string, more: string[] = []) => {
  const [h1] = lab.hosts as [LabHost]
  const where = ['--constraint', `node.hostname==${on.name}`, '--network', network]
  await h1.swarmctl([...CREATE, '--name', name, ...where, ...more, 'swarmctl-test:1'])
  const shell = async (script: string) => {
    // A task of a node that was away is replaced.
    const [task] = await untilRunning(h1, name, 1)
    const { container } = await inspectTask(lab.hosts, task!)
    return (await on.docker(['exec', container.Id, 'sh', '-c', script], { timeoutMs: 120_000 }))
      .stdout
  }
  await shell('true')
  return { shell }
}
type Placed = Awaited<ReturnType<typeof place>>

/** One datagram of the marker, repeated to a length, and its echo. Arguments: name, how often. */
const UDP_ASK = `use Socket; socket(S,PF_INET,SOCK_DGRAM,0);connect(S,sockaddr_in(9000,inet_aton($ARGV[0])));
for (1..5) { syswrite(S,"${MARKER}" x $ARGV[1]); vec($r="",fileno(S),1)=1; if (select($r,undef,undef,0.5)) { sysread(S,$b,65536) && last } }
print $b =~ /payload=((?:${MARKER})+)$/ ? length $1 : "no answer"`
const askUdp = async (from: Placed, name: string, count: number): Promise<number> =>
  Number(await from.shell(`perl -e '${UDP_ASK}' ${name} ${count}`))

const BULK = `$b = "${MARKER}\\n" x 1000; print { $to } $b for 1..${BULK_BLOCKS}`
const BULK_SERVER = `use Socket; socket(L,PF_INET,SOCK_STREAM,0); setsockopt(L,SOL_SOCKET,SO_REUSEADDR,1);
bind(L,sockaddr_in(7000,INADDR_ANY)) or die $!; listen(L,5); open(F,">/tmp/listening"); close(F); accept(C,L); $to = *C; ${BULK}`
const BULK_CLIENT = `use Socket; socket(S,PF_INET,SOCK_STREAM,0); connect(S,sockaddr_in(7000,inet_aton($ARGV[0]))) or die $!;
print $b while sysread(S,$b,65536)`

/** Some megabytes of the marker from a task to another one: what arrived of them. */
const bulk = async (from: Placed, to: Placed, name: string): Promise<string> => {
  await from.shell('rm -f /tmp/listening')
  const serving = from.shell(`perl -e '${BULK_SERVER}'`)
  await from.shell('until [ -e /tmp/listening ]; do sleep 0.1; done')
  const sum = await to.shell(`perl -e '${BULK_CLIENT}' ${name} | sha256sum`)
  await serving
  const sent = await from.shell(`perl -e '$to = *STDOUT; ${BULK}' | sha256sum`)
  return sum === sent ? 'as sent' : `${sum} instead of ${sent}`
}

/** Everything of encrypted networks that a host's kernel holds. */
const traces = async (host: LabHost): Promise<string> => {
  const script = `ip -o link | grep -o sw-vx1; ip route show table all | grep sw-vx1; ip rule | grep 'lookup 11[0-9][0-9]'
    nft list ruleset | grep -e 10.62.0.0 -e 10.63.7.0; iptables-save | grep -e 10.62.0.0 -e 10.63.7.0 ; exit 0`
  return (await host.exec('sh', ['-c', script])).stdout
}

for (const plane of ['kernel', 'proxy'] as const) {
  labTest(t, `encrypted networks, ${plane} plane`, { hosts: 3, clients: 1 }, async (t, lab) => {
    const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
    await formCluster(lab, { managers: 1, daemonArgs: ['--data-plane', plane] })
    t.equal(await traces(h2), '', 'nothing before there is one')
    await h1.swarmctl(['network', 'rm', 'ingress'])
    const create = ['network', 'create', '-d', 'overlay', '--subnet']
    await h1.swarmctl([...create, SUBNETS.plain, 'plain'])
    await h1.dockerViaSwarmctl([
      ...create,
      SUBNETS.vault,
      '--attachable',
      '--opt',
      'encrypted',
      'vault',
    ])
    await h1.swarmctl([...create, SUBNETS.mesh, '--ingress', '--opt', 'encrypted', 'mesh'])
    const mtu = ['--opt', 'com.docker.network.driver.mtu=9000']
    const dual = ['--ipv6', '--subnet', 'fd00:63::/64']
    await h1.swarmctl([...create, SUBNETS.tiny, ...dual, '--opt', 'encrypted=', ...mtu, 'tiny'])
    const { stdout } = await h1.swarmctl(['network', 'inspect', '-f', '{{json .Options}}', 'vault'])
    t.match(JSON.parse(stdout), { encrypted: '' })

    const published = ['--publish', '8080:80']
    const open = [
      await place(lab, 'open1', h1, 'plain'),
      await place(lab, 'open2', h2, 'plain'),
    ] as const
    const shut = [
      await place(lab, 'shut1', h1, 'vault'),
      await place(lab, 'shut2', h2, 'vault', published),
    ] as const
    const small = [
      await place(lab, 'small1', h1, 'tiny'),
      await place(lab, 'small2', h2, 'tiny', ['--env', 'IPV6=1']),
    ] as const

    await t.test('the control: without encryption the marker is on the wire', async (t) => {
      const seen = await captured(h1, async () => {
        t.equal(await bulk(open[1], open[0], 'open2'), 'as sent')
        t.equal(await askUdp(open[0], 'open2', 1), MARKER.length)
      })
      t.ok(seen.marked > 100, `${seen.marked} packets with the marker`)
      t.ok(seen.vxlan > 100)
    })

    for (const [name, [first, second], server] of [
      ['vault', shut, 'shut2'],
      ['a small subnet with its own MTU', small, 'small2'],
    ] as const) {
      await t.test(`${name}: TCP and UDP by name, nothing of it on the wire`, async (t) => {
        const seen = await captured(h1, async () => {
          t.equal(await bulk(second, first, server), 'as sent')
          for (const count of [1, 60, 2000])
            t.equal(await askUdp(first, server, count), MARKER.length * count)
          t.match(await first.shell(`curl -sS -m5 http://${server}/`), '"host"')
        })
        t.match(seen, { marked: 0, inner: 0 })
        t.ok(seen.all > 100, 'it went through this device')
      })
    }

    await t.test('IPv6 of an encrypted network is not on the wire either', async (t) => {
      const [first, second] = small
      const address = (
        await second.shell("ip -o -6 addr | grep -o 'fd00:63:[0-9a-f:]*' | head -1")
      ).trim()
      const seen = await captured(h1, async () => {
        const url = `http://[${address}]/head?${MARKER}`
        t.match(await first.shell(`curl -g -sS -m5 '${url}'`), MARKER)
        t.match(await first.shell(`curl -6 -sS -m5 'http://small2/head?${MARKER}'`), MARKER)
      })
      t.match(seen, { marked: 0, inner: 0 })
    })

    await t.test('the source is kept, and published ports work', async (t) => {
      const address = (await shut[0].shell('hostname -i')).trim()
      const seen = JSON.parse(await shut[0].shell('curl -sS -m5 http://tasks.shut2/')) as object
      t.match(seen, { remote: address })
      const single = ['run', '--rm', '--network', 'vault', 'swarmctl-test:1']
      const asked = await h1.dockerViaSwarmctl([...single, 'curl', '-sS', '-m5', 'http://shut2/'])
      t.match(asked.stdout, '"host"', 'from a single container')
      const client = lab.client(1)
      for (const host of [h1, h2, h3]) {
        const url = `http://${host.ip}:8080/`
        const answer = JSON.parse((await client.exec('curl', ['-sS', '-m5', url])).stdout) as object
        t.match(answer, { host: /./ }, host.name)
        if (plane === 'kernel') t.match(answer, { remote: client.ip }, host.name)
      }
      // The client comes to h1 in plain; from there to the task's node it does not.
      const wire = await captured(h2, async () => {
        const url = `http://${h1.ip}:8080/head?${MARKER}`
        const { stdout } = await client.exec('curl', ['-sS', '-m5', url])
        t.match(stdout, MARKER)
      })
      t.match(wire, { marked: 0, inner: 0 }, 'an encrypted ingress network')
    })

    await t.test('what claims to be of such a network is not taken from the wire', async (t) => {
      const target = (
        await shut[1].shell("ip -o -4 addr | grep -o '10[.]62[.][0-9.]*' | head -1")
      ).trim()
      t.ok(target)
      const count = async () => datagrams(await shut[1].shell('cat /proc/net/snmp | grep ^Udp:'))
      await lab.client(1).exec('ip', ['route', 'replace', `${target}/32`, 'via', h2.ip])
      // Whoever asks asks again after half a second without an answer: of several rounds one is without that.
      await eventually(
        async () => {
          const before = await count()
          // As somebody on the wire would: in VXLAN from a node's address, to the device's own port, and bare.
          await h3.exec('perl', ['-MSocket', '-e', FORGE_VXLAN, h2.ip, target, h1.ip])
          await lab.client(1).exec('perl', ['-MSocket', '-e', FORGE_BARE, h2.ip, target])
          t.equal(await askUdp(shut[0], 'shut2', 1), MARKER.length)
          const came = (await count()) - before
          if (came !== 1) throw new Error(`${came} datagrams came`)
          return true
        },
        { what: 'only the true one came' },
      )
    })

    await t.test('a device that someone removed comes back at once', async (t) => {
      await h1.exec('ip', ['link', 'del', 'sw-vx1'])
      // Far within the reconciliation's minute: only the kernel's notice can have told.
      await eventually(() => shut[0].shell('curl -sS -m2 http://shut2/').catch(() => undefined), {
        what: 'traffic goes on',
        timeoutMs: 20_000,
      })
      t.match(await h1.exec('ip', ['link', 'show', 'sw-vx1']), { code: 0 })
    })

    await t.test('a daemon that was killed: the network stands still, then goes on', async (t) => {
      await h2.kill9Daemon()
      await t.rejects(shut[0].shell('curl -sS -m2 http://tasks.shut2/'))
      const seen = await captured(h1, async () => {
        await t.rejects(shut[0].shell(`curl -sS -m2 http://tasks.shut2/${MARKER}`))
      })
      t.match(seen, { marked: 0, inner: 0 }, 'and takes no other way')
      await h2.spawnDaemon(['--data-plane', plane])
      await eventually(() => shut[0].shell('curl -sS -m2 http://shut2/').catch(() => undefined), {
        what: 'traffic goes on',
        timeoutMs: 30_000,
      })
      t.equal(await bulk(shut[1], shut[0], 'shut2'), 'as sent')
    })

    await t.test(
      'a node that leaves keeps nothing of it, nor do the others when it goes',
      async (t) => {
        t.match(await traces(h3), 'sw-vx1')
        await h3.swarmctl(['leave'])
        t.equal(await traces(h3), '')
        for (const name of ['shut1', 'shut2', 'small1', 'small2']) {
          await h1.swarmctl(['service', 'rm', name])
        }
        for (const name of ['vault', 'tiny', 'mesh']) {
          await eventually(
            async () => (await h1.swarmctl(['network', 'rm', name], { check: false })).code === 0,
            { what: `${name} is removed` },
          )
        }
        await eventually(async () => !/sw-vx1|10\.6[23]/.test(await traces(h2)), { what: 'gone' })
        t.match(await open[0].shell('curl -sS -m5 http://open2/'), '"host"', 'the others go on')
      },
    )
  })
}

/** Datagrams that a network namespace took, from two lines of /proc/net/snmp. */
const datagrams = (text: string): number => {
  const [names = '', values = ''] = text.trim().split('\n')
  return Number(values.split(' ')[names.split(' ').indexOf('InDatagrams')])
}

/** UDP to port 9000 of a task, as if from another one. Arguments: the task's node, its address. */
const FORGED = `my ($node, $task, $other) = @ARGV;
sub sum { my $s = 0; $s += $_ for unpack 'n*', $_[0]; $s = ($s & 0xffff) + ($s >> 16) while $s >> 16; ~$s & 0xffff }
my $udp = pack('n4 a6', 1234, 9000, 14, 0, 'forged');
my $head = sub { pack('C2 n3 C2 n a4 a4', 0x45, 0, 34, 1, 0, 64, 17, $_[0], inet_aton('10.62.1.99'), inet_aton($task)) };
my $ip = $head->(sum($head->(0)));`
/** In VXLAN to either port, with either network identifier, as if by another node's device: the third argument is that node. */
const FORGE_VXLAN = `${FORGED}
my $mac = sub { pack 'C6', 2, $_[0], split /[.]/, $_[1] };
for my $try ([4242, 4789, 0xdd], [4243, 4789, 0xde], [4243, 4790, 0xde]) {
  my ($vni, $port, $kind) = @$try;
  my $frame = pack('C a3 N', 8, '', $vni << 8) . $mac->($kind, $node) . $mac->($kind, $other) . pack('n', 0x0800) . $ip . $udp;
  socket(my $s, PF_INET, SOCK_DGRAM, 0); send($s, $frame, 0, sockaddr_in($port, inet_aton($node))) or die "send: $!";
}`
/** Without VXLAN, with a forged source and with its own. */
const FORGE_BARE = `${FORGED}
socket(my $raw, PF_INET, SOCK_RAW, 255) or die "raw: $!"; send($raw, $ip . $udp, 0, sockaddr_in(0, inet_aton($task))) or die "raw: $!";
socket(my $s, PF_INET, SOCK_DGRAM, 0); send($s, 'forged', 0, sockaddr_in(9000, inet_aton($task))) or die "send: $!";`
