import t from 'tap'
import { isUnsafe, tapFailures } from '../../scripts/tap-failures.ts'

const RUN = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: outer
        ok 1 - fine
        not ok 2 - one is two
          ---
          compare: ===
          at:
            fileName: test/a.test.ts
            lineNumber: 2
            columnNumber: 40
          source: |
            t.equal(1, 2)
          diff: |
            --- expected
            +++ actual
            -2
            +1
          ...
        
        # Subtest: inner
            not ok 1 - deep
            1..1
        not ok 3 - inner # time=3ms
        1..3
    not ok 1 - outer # time=95.858ms
      ---
      at:
        lineNumber: 2
      ...
    # Subtest: next
        not ok 1 - last
    not ok 2 - next # time=1ms
    not ok 3 - timeout!
not ok 1 - test/a.test.ts # time=129.092ms
`

t.test('what failed is named with its place and the difference', async (t) => {
  t.strictSame(tapFailures(RUN), [
    [
      'test/a.test.ts > outer > one is two',
      '      lineNumber: 2',
      '    diff: |',
      '      --- expected',
      '      +++ actual',
      '      -2',
      '      +1',
    ].join('\n'),
    'test/a.test.ts > outer > inner > deep',
    'test/a.test.ts > next > last',
    'test/a.test.ts > timeout!',
  ])
  t.strictSame(tapFailures('TAP version 14\n# Subtest: a\n    ok 1 - fine\nok 1 - a\n'), [])
})

t.test('a run in which everything fails is no flood', async (t) => {
  const many = Array.from({ length: 30 }, (_, at) => `        not ok ${at} - no ${at}\n`).join('')
  const told = tapFailures(`# Subtest: test/a.test.ts\n    # Subtest: all\n${many}`)
  t.equal(told.length, 21)
  t.equal(told.at(-1), 'and 10 more')
})

t.test('what must hold in each single run is told apart', async (t) => {
  const line = (title: string) => `# Subtest: a\n    not ok 1 - ${title}\n`
  t.ok(isUnsafe(line('safety: no stale read')))
  t.notOk(isUnsafe(line('no time left')))
  t.notOk(isUnsafe('    ok 1 - safety: no stale read\n'))
})
