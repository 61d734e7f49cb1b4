/** A tap test over a lab: says why when no lab can run here, shows the daemons' logs when it fails. */
import type { Test } from 'tap'
import { Lab, type LabOptions } from './lab.ts'

/** Building the hosts and every wait inside count. */
const TIMEOUT_MS = 600_000

/** Runs `body` with a new lab and removes the lab afterwards, whatever happened. */
export function labTest(
  t: Test,
  name: string,
  options: LabOptions & { readonly timeoutMs?: number },
  body: (t: Test, lab: Lab) => Promise<void>,
): void {
  const timeout = options.timeoutMs ?? TIMEOUT_MS
  // Else the file's own 30 s end it first.
  t.setTimeout(timeout)
  void t.test(name, { timeout }, async (t) => {
    const reason = await Lab.unavailable()
    if (reason !== undefined) {
      // Where everything has to be tested, a test that could not run is a failure.
      if (process.env.CI === 'true') t.fail(reason)
      else t.pass(reason, { skip: reason })
      return
    }
    const lab = await Lab.create({ name, ...options })
    try {
      await body(t as Test, lab)
    } finally {
      if (!t.passing()) t.comment(lab.logTails())
      await lab.close()
    }
  })
}
