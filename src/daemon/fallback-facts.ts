import { arch, availableParallelism, hostname, totalmem } from 'node:os'
import type { EngineFacts } from '../worker/executor.ts'

/** The Engine's names of architectures, which constraints and platforms use. */
const ARCHITECTURES: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', arm: 'armv7l' }
const NANO_CPUS = 1_000_000_000

/** What this machine says of itself while its Engine has not answered. */
export const fallbackFacts = (): EngineFacts => ({
  Hostname: hostname(),
  Platform: { Architecture: ARCHITECTURES[arch()] ?? arch(), OS: 'linux' },
  Resources: { NanoCPUs: availableParallelism() * NANO_CPUS, MemoryBytes: totalmem() },
  Engine: { EngineVersion: '', Labels: {}, Plugins: [] },
})
