import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseServiceRequest } from '../../src/api/validate/service.ts'
import { convert } from '../support/kubernetes/convert.ts'

/** A CronJob `backup` with more in its spec, its job's and its pod's, as flow YAML. */
const cronJob = (spec: string, job = '', pod = 'restartPolicy: OnFailure,'): string => `
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup, labels: {app: backup}}
spec:
  ${spec}
  jobTemplate:
    metadata: {labels: {part: nightly}}
    spec:
      ${job}
      template:
        spec: {${pod} containers: [{name: c, image: "backup:1", args: [all]}]}
`

t.test('a CronJob is a job with a schedule', async (t) => {
  const [namespace] = convert(cronJob('schedule: "*/5 * * * *"'))
  const [service] = namespace?.services ?? []
  t.match(service, {
    Name: 'backup',
    Labels: { app: 'backup', part: 'nightly', 'com.docker.stack.namespace': 'default' },
    Mode: { ReplicatedJob: { TotalCompletions: 1, MaxConcurrent: 1 } },
    TaskTemplate: {
      ContainerSpec: { Image: 'backup:1', Args: ['all'] },
      RestartPolicy: { Condition: 'on-failure', MaxAttempts: 6 },
      Networks: [{ Target: 'default_pods' }],
    },
  })
  t.strictSame(service?.Swarmctl, { Schedule: { Cron: '*/5 * * * *' } })
  t.strictSame(parseServiceRequest(service).warnings, [], 'every field is known')
})

t.test('every field of its spec', async (t) => {
  const fields = [
    'schedule: "@daily"',
    'timeZone: Europe/Berlin',
    'concurrencyPolicy: Forbid',
    'startingDeadlineSeconds: 90',
    'suspend: true',
    'successfulJobsHistoryLimit: 5',
    'failedJobsHistoryLimit: 0',
  ]
  const [namespace] = convert(cronJob(fields.join('\n  ')))
  t.strictSame(namespace?.services[0]?.Swarmctl?.Schedule, {
    Cron: '@daily',
    TimeZone: 'Europe/Berlin',
    ConcurrencyPolicy: 'Forbid',
    StartingDeadline: 90e9,
    Suspend: true,
    CompletedHistoryLimit: 5,
    FailedHistoryLimit: 0,
  })
})

t.test('what is refused is named with its place in the object', async (t) => {
  const refused: [text: string, message: string | RegExp][] = [
    [
      cronJob('schedule: "* * *"'),
      'app.yml:6: CronJob backup: spec.schedule "* * *" is no schedule: write five fields such as "*/5 * * * *", six with seconds first, or @daily',
    ],
    [cronJob('schedule: TZ=UTC * * * * *'), /app\.yml:6: CronJob backup: spec\.schedule "TZ=UTC/],
    [
      cronJob('schedule: "@daily"\n  timeZone: Local'),
      'app.yml:7: CronJob backup: spec.timeZone "Local" is no time zone: write one such as Europe/Berlin',
    ],
    [
      cronJob('schedule: "@daily"\n  failedJobsHistoryLimit: 5000'),
      'app.yml:7: CronJob backup: spec.failedJobsHistoryLimit 5000 runs are too many to keep: at most 1000',
    ],
    [
      cronJob('schedule: "* * * * * *"'),
      /app\.yml:6: CronJob backup: spec\.schedule must have five fields$/,
    ],
    [cronJob(''), /app\.yml:5: CronJob backup: spec\.schedule is missing$/],
    [
      cronJob('schedule: "@daily"\n  concurrencyPolicy: Never'),
      'app.yml:7: CronJob backup: spec.concurrencyPolicy must be "Allow" or "Forbid" or "Replace"',
    ],
    [
      cronJob('schedule: "@daily"', 'parallelism: 2'),
      /app\.yml:10: CronJob backup: spec\.jobTemplate\.spec\.parallelism needs completions/,
    ],
    [
      cronJob('schedule: "@daily"', '', ''),
      'app.yml:12: CronJob backup: spec.jobTemplate.spec.template.spec.restartPolicy must be Never or OnFailure, not Always',
    ],
    [
      cronJob('schedule: "@daily"', 'ttlSecondsAfterFinished: 5'),
      'app.yml:10: CronJob backup: spec.jobTemplate.spec.ttlSecondsAfterFinished is not supported',
    ],
    [
      cronJob('schedule: "@daily"').replace('args: [all]', 'resources: {limits: {cpu: much}}'),
      /app\.yml:12: CronJob backup: spec\.jobTemplate\.spec\.template\.spec\.containers\.0\.resources\.limits\.cpu much is no quantity/,
    ],
    [
      cronJob('schedule: "@daily"').replace('batch/v1', 'batch/v1beta1'),
      'app.yml:2: CronJob backup: apiVersion must be batch/v1, not batch/v1beta1',
    ],
  ]
  for (const [text, message] of refused) t.throws(() => convert(text), { message }, text)
})

t.test('examples/kubernetes/backup.yml', async (t) => {
  const file = join(import.meta.dirname, '../../examples/kubernetes/backup.yml')
  const [namespace] = convert(readFileSync(file, 'utf8'))
  const [service] = namespace?.services ?? []
  t.match(service, {
    Name: 'backup',
    TaskTemplate: {
      ContainerSpec: {
        Mounts: [
          { Type: 'volume', Source: 'default_data', Target: '/data', ReadOnly: true },
          { Type: 'volume', Source: 'default_backups', Target: '/backups' },
        ],
      },
      RestartPolicy: { Condition: 'on-failure', MaxAttempts: 2 },
    },
    Swarmctl: { Schedule: { Cron: '0 3 * * *', TimeZone: 'Europe/Berlin' } },
  })
  t.strictSame(parseServiceRequest(service).warnings, [])
})
