import t from 'tap'
import { GoDuration, GoTime, goText } from '../../src/api/go-template/go-values.ts'
import { compileFormat } from '../../src/cli/format/compile-format.ts'
import {
  type ListRow,
  labelFields,
  printListing,
  shortImage,
} from '../../src/cli/format/listing.ts'
import type { Output } from '../../src/cli/output.ts'

/** A service as the API gives it: fields that are empty are not there. */
const service = {
  ID: 'abc',
  Version: { Index: 12 },
  CreatedAt: '2026-01-02T03:04:05.678900Z',
  Spec: {
    Name: 'web',
    Labels: { b: '2', a: '1', 'com.example.x': 'dotted' },
    Mode: { Replicated: { Replicas: 3 } },
    TaskTemplate: {
      ContainerSpec: { Image: 'nginx:1', Env: ['A=1', 'B=2'] },
      RestartPolicy: { Delay: 5_000_000_000 },
    },
    UpdateConfig: { Parallelism: 2, Monitor: 90_000_000_000, MaxFailureRatio: 0.25 },
  },
  Endpoint: {
    Ports: [
      { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080 },
      { Protocol: 'udp', TargetPort: 53, PublishedPort: 53 },
    ],
  },
}

const fill = (template: string, data: unknown = service) => compileFormat(template)(data)

t.test('images are shown without a digest where a tag says what they are', async (t) => {
  const digest = `@sha256:${'0'.repeat(64)}`
  t.equal(shortImage(`reg:5000/nginx:1.27${digest}`, {}), 'reg:5000/nginx:1.27')
  t.equal(shortImage(`reg:5000/nginx${digest}`, {}), `reg:5000/nginx${digest}`)
  t.equal(shortImage(`nginx:1${digest}`, { trunc: false }), `nginx:1${digest}`)
})

t.test('templates print what Go prints', async (t) => {
  const cases: [template: string, text: string][] = [
    ['plain', 'plain'],
    ['{{.ID}} {{ .Spec.Name }}', 'abc web'],
    ['{{.Version.Index}}', '12'],
    ['{{json .Spec.Labels}}', '{"b":"2","a":"1","com.example.x":"dotted"}'],
    ['{{.Spec.Labels}}', 'map[a:1 b:2 com.example.x:dotted]'],
    ['{{index .Spec.Labels "com.example.x"}}', 'dotted'],
    ['{{.Spec.Labels.nope}}', '<no value>'],
    ['{{index .Spec.Labels "nope"}}', ''],
    ['{{.Spec.TaskTemplate.ContainerSpec.Env}}', '[A=1 B=2]'],
    ['{{json .Spec.TaskTemplate.ContainerSpec}}', '{"Image":"nginx:1","Env":["A=1","B=2"]}'],
    ['{{join .Spec.TaskTemplate.ContainerSpec.Env ", "}}', 'A=1, B=2'],
    [
      '{{range .Endpoint.Ports}}{{.PublishedPort}}->{{.TargetPort}}/{{.Protocol}} {{end}}',
      '8080->80/tcp 53->53/udp ',
    ],
    ['{{range $i, $p := .Endpoint.Ports}}{{if $i}},{{end}}{{$p.TargetPort}}{{end}}', '80,53'],
    ['{{range $k, $v := .Spec.Labels}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;com.example.x=dotted;'],
    ['{{range .Spec.TaskTemplate.ContainerSpec.Mounts}}x{{else}}none{{end}}', 'none'],
    [
      '{{range .Endpoint.Ports}}{{if eq .Protocol "udp"}}{{break}}{{end}}{{.TargetPort}}{{end}}',
      '80',
    ],
    [
      '{{range .Endpoint.Ports}}{{if eq .Protocol "tcp"}}{{continue}}{{end}}{{.TargetPort}}{{end}}',
      '53',
    ],
    ['{{with .Spec.UpdateConfig}}{{.Parallelism}}{{end}}', '2'],
    ['{{with .UpdateStatus}}{{.State}}{{else}}never{{end}}', 'never'],
    ['{{if .Spec.Mode.Replicated}}r{{else if .Spec.Mode.Global}}g{{else}}j{{end}}', 'r'],
    ['{{if .Spec.Mode.Global}}g{{else if .Spec.Mode.Replicated}}r{{else}}j{{end}}', 'r'],
    ['{{if and .ID (gt .Version.Index 10)}}new{{end}}', 'new'],
    ['{{if or false "" .Spec.Name}}some{{end}}', 'some'],
    ['{{if not (eq .ID "x" "abc")}}no{{else}}yes{{end}}', 'yes'],
    ['{{.Spec.UpdateConfig.Monitor}} {{.Spec.TaskTemplate.RestartPolicy.Delay}}', '1m30s 5s'],
    [
      '{{json .Spec.UpdateConfig.Monitor}} {{.Spec.UpdateConfig.MaxFailureRatio}}',
      '90000000000 0.25',
    ],
    ['{{.CreatedAt}}', '2026-01-02 03:04:05.6789 +0000 UTC'],
    ['{{json .CreatedAt}}', '"2026-01-02T03:04:05.678900Z"'],
    ['{{upper .Spec.Name}} {{title "ab cd"}} {{lower "X"}}', 'WEB Ab Cd x'],
    ['{{printf "%-6s|%3d|%03d|%q|%v|%%" .Spec.Name 7 7 "q" true}}', 'web   |  7|007|"q"|true|%'],
    ['{{truncate "abcdef" 3}} {{slice "abcdef" 1 3}} {{len .Endpoint.Ports}}', 'abc bc 2'],
    ['{{$x := .Spec.Name}}{{$x}}{{$x = "y"}}{{$x}}{{$.ID}}', 'webyabc'],
    ['{{range .Endpoint.Ports}}{{$.ID}}{{end}}', 'abcabc'],
    ['a {{- " b " -}} c', 'a b c'],
    ['{{/* a comment */}}x{{- /* too */ -}} y', 'xy'],
    ['{{"{{"}} {{`raw\\n`}} {{println "x"}}', '{{ raw\\n x\n'],
    ['{{(index .Endpoint.Ports 0).TargetPort}}', '80'],
    ['{{index .Spec.TaskTemplate.ContainerSpec.Env 1}}', 'B=2'],
    ['{{range split "a,b" ","}}[{{.}}]{{end}}', '[a][b]'],
    ['{{pad "x" 1 2}}|{{print 1 2 "x"}}', ' x  |1 2x'],
    ['{{ne 1 2}} {{lt "a" "b"}} {{le 2 2}} {{ge 1 2}}', 'true true true false'],
    [
      '{{.Spec.TaskTemplate.ContainerSpec.Hostname}}|{{.Spec.TaskTemplate.ContainerSpec.TTY}}',
      '|false',
    ],
    ['{{.Spec.TaskTemplate.ForceUpdate}} {{.PreviousSpec}}', '0 <nil>'],
  ]
  for (const [template, text] of cases) {
    t.equal(fill(template), text, template)
  }
})

t.test('what a template can not have is one line', async (t) => {
  const cases: [template: string, message: RegExp][] = [
    ['{{.Colour}}', /^invalid --format: there is no field .Colour$/],
    ['{{.Spec.name}}', /no field .Spec.name; did you mean .Name\?/],
    ['{{.UpdateStatus.State}}', /nothing is there for .UpdateStatus.State/],
    ['{{.ID.x}}', /no field .ID.x/],
    ['{{.ID', /not closed/],
    ['{{if .ID}}x', /\{\{if\}\} without \{\{end\}\}/],
    ['x{{end}}', /without an/],
    ['{{nope .ID}}', /no function "nope"/],
    ['{{$y}}', /undefined variable "\$y"/],
    ['{{}}', /a value is missing/],
    ['{{.ID "x"}}', /takes no argument/],
    ['{{range .ID}}{{end}}', /can't go over/],
    ['{{index .Endpoint.Ports 9}}', /out of range/],
    ['{{(.ID}}', /a \( is not closed/],
    ['{{.ID)}}', /unexpected \)/],
    ['{{lt 1 "x"}}', /can't compare/],
    ['{{len 3}}', /len of 3/],
    ['{{define "x"}}{{end}}', /no use/],
    ['{{printf "%d"}}', /printf has no value for %d/],
    ['{{.ID ~}}', /unexpected "~"/],
  ]
  for (const [template, message] of cases) t.throws(() => fill(template), { message }, template)
})

t.test('durations and times', async (t) => {
  const durations: [ns: number, text: string][] = [
    [0, '0s'],
    [1_500_000_000, '1.5s'],
    [250_000_000, '250ms'],
    [3_600_000_000_000, '1h0m0s'],
    [-1_000_000, '-1ms'],
    [1_500, '1.5µs'],
  ]
  for (const [ns, text] of durations) t.equal(String(new GoDuration(ns)), text)
  t.equal(String(new GoTime('2026-01-02T03:04:05+02:00')), '2026-01-02 03:04:05 +0200 +0200')
  t.equal(String(new GoTime('never')), 'never')
  t.equal(goText({ b: [1, 'x'], a: null }), 'map[a:<nil> b:[1 x]]')
})

t.test('lists', async (t) => {
  const columns = [
    { head: 'ID', field: 'ID' },
    { head: 'NAME', field: 'Name' },
  ]
  const rows: ListRow[] = [
    {
      id: 'one',
      cells: { ID: 'one *' },
      fields: { ID: 'one', Name: 'a', CurrentState: 'up', ...labelFields({ k: 'v', a: 'b' }) },
    },
    { id: 'two', fields: { ID: 'two', Name: 'bb', CurrentState: 'down', ...labelFields(null) } },
  ]
  const print = (format?: string, options = {}, width?: number) => {
    let out = ''
    const output: Output = {
      write(text) {
        out += text
      },
      writeError() {},
      columns: width,
      isTerminal: false,
    }
    printListing(output, { ...options, ...(format !== undefined && { format }) }, columns, rows)
    return out
  }
  t.equal(print(), 'ID      NAME\none *   a\ntwo     bb\n')
  t.equal(print(undefined, { quiet: true }), 'one\ntwo\n')
  t.equal(
    print('json'),
    '{"CurrentState":"up","ID":"one","Labels":"a=b,k=v","Name":"a"}\n{"CurrentState":"down","ID":"two","Labels":"","Name":"bb"}\n',
  )
  t.equal(
    print('{{json .}}'),
    '{"CurrentState":"up","ID":"one","Labels":"a=b,k=v","Name":"a"}\n{"CurrentState":"down","ID":"two","Labels":"","Name":"bb"}\n',
  )
  t.equal(
    print('{{.}}'),
    'map[CurrentState:up ID:one Labels:a=b,k=v Name:a]\nmap[CurrentState:down ID:two Labels: Name:bb]\n',
    'no methods',
  )
  t.equal(print(''), print(), 'an empty format is none')
  t.equal(print('table   {{.Name}} '), 'NAME\na\nbb\n')
  t.equal(print('{{.ID}}\\t{{.Label "k"}}'), 'one\tv\ntwo\t\n')
  t.equal(
    print('table {{.Name}}\\t{{upper .CurrentState}}\\t{{.Label "com.x"}}'),
    'NAME   CURRENT STATE   com x\na      UP\nbb     DOWN\n',
  )
  t.equal(print('table {{.ID}} {{.ID}}\t{{.ID}}'), 'ID ID     ID\none one   one\ntwo two   two\n')
  t.throws(() => print('{{.Nope}}'), /no field .Nope/)
  t.ok(
    print(undefined, {}, 9)
      .split('\n')
      .every((line) => line.length <= 9),
  )
  t.equal(print(undefined, { trunc: false }, 5), print())
})
