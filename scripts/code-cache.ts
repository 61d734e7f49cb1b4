import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

/**
 * The code that V8 makes of `source`, for `cachedData` of the same source in this version of Node: of the functions that run
 * at once ("lazy"), or of all ("eager"), which is ten times as large and takes tens of milliseconds to load.
 */
export function codeCache(source: string, functions: 'lazy' | 'eager'): Buffer {
  // A cache names the flags that were set when it was written, and is refused under others: they are put back before.
  if (functions === 'eager') setFlagsFromString('--no-lazy')
  // Under a name of its own: a script that was compiled before would be found again, with what was compiled of it.
  const script = new Script(source, { filename: functions })
  setFlagsFromString('--lazy')
  const cachedData = script.createCachedData()
  const again = new Script(source, { filename: `${functions} again`, cachedData })
  assert.equal(again.cachedDataRejected, false)
  return cachedData
}
