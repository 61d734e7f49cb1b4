/** Flags of `service create` that Docker does not have → where they land → what stands there. */
export const OUR_FLAGS: readonly [flags: string, path: string, value: unknown][] = [
  ['--drain-limit 1m', 'Swarmctl.DrainLimit', 60e9],
  [
    '--limit-cpu 1 --limit-memory 64m --autoscale --autoscale-min 2 --autoscale-max 5 --autoscale-cpu 70% --autoscale-memory 80 --autoscale-window 1m',
    'Swarmctl.Autoscale',
    { Min: 2, Max: 5, CpuPercent: 70, MemoryPercent: 80, ScaleDownWindow: 60e9 },
  ],
  [
    '--mode replicated-job --schedule @daily --schedule-time-zone Europe/Berlin --schedule-concurrency forbid --schedule-starting-deadline 1m --schedule-suspend --schedule-keep-completed 5 --schedule-keep-failed 0',
    'Swarmctl.Schedule',
    {
      Cron: '@daily',
      TimeZone: 'Europe/Berlin',
      ConcurrencyPolicy: 'Forbid',
      StartingDeadline: 60e9,
      Suspend: true,
      CompletedHistoryLimit: 5,
      FailedHistoryLimit: 0,
    },
  ],
  [
    '--publish published=8081,target=80,proxy-protocol=v2',
    'EndpointSpec.Ports',
    [
      {
        Protocol: 'tcp',
        TargetPort: 80,
        PublishedPort: 8081,
        PublishMode: 'ingress',
        Swarmctl: { ProxyProtocol: 'v2' },
      },
    ],
  ],
]
