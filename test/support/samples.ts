import type { Clock } from '../../src/raft/clock.ts'

/** What the samples of stored formats (`test/samples`) were made with. */
export const SAMPLE = {
  dataKey: new Uint8Array(32).fill(0x53),
  unlockKeyBytes: new Uint8Array(32).fill(0x4b),
  passphrase: 'the passphrase of the samples',
  clusterId: 'samplecluster'.padEnd(25, '0'),
  addr: '10.0.0.1:2377',
  timeMs: Date.UTC(2026, 0, 1),
} as const

/** Real time, as raft's storage wants it. */
export const raftClock: Clock = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
  defer: (callback) => void setImmediate(callback),
}
