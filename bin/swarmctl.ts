import { main } from '../src/cli/main.ts'
import { createHost } from '../src/cli/process-host.ts'
import { launchDaemon } from '../src/daemon/launch.ts'
import { VERSION } from '../src/daemon/version.ts'

// The daemon's modules are loaded only when it runs, so that commands start quickly.
const runDaemon = async (options: Record<string, unknown>): Promise<void> => {
  const { runDaemon: run } = await import('../src/daemon/main.ts')
  await run(options)
}

const run = async (): Promise<void> => {
  process.exitCode = await main(process.argv.slice(2), {
    ...createHost(),
    version: VERSION,
    launcher: { start: launchDaemon },
    runDaemon,
  })
}

void run()
