/** Looking for a text that must not be anywhere: on a host's disk, or in a process's memory. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { runCommand } from './command.ts'

/** Bytes of memory read at a time. */
const CHUNK_BYTES = 16 << 20
/** Image layers: big, and nothing of a task. */
const LEFT_OUT = ['overlay2', 'containerd', 'registry']

/** The text itself, in hexadecimal, and in base64 wherever it may begin in a longer text. */
export const disguises = (text: string): string[] => {
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.from(`${'\0'.repeat(shift)}${text}`).toString('base64')
    // The characters at both ends depend on what stands before and after.
    return encoded.slice(shift === 0 ? 0 : shift + 1, -4)
  })
  return [text, Buffer.from(text).toString('hex'), ...base64]
}

/** Files below `folder`, as this machine sees them (no mounts of a host's own), that hold any of the needles. */
export const filesWith = async (folder: string, needles: readonly string[]): Promise<string[]> => {
  const { stdout } = await runCommand(
    'grep',
    [
      '-rlaF',
      '--devices=skip',
      ...LEFT_OUT.map((name) => `--exclude-dir=${name}`),
      ...needles.flatMap((needle) => ['-e', needle]),
      folder,
    ],
    // 2: a file that went away meanwhile.
    { check: false, env: { LC_ALL: 'C' } },
  )
  return stdout.split('\n').filter((line) => line !== '')
}

/** Whether a process's writable memory holds any of the needles; `pid` as this machine sees it. */
export const isInMemory = (pid: number, needles: readonly string[]): boolean => {
  const wanted = needles.map((needle) => Buffer.from(needle))
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line))
      .some((range) => range !== null && holds(memory, range, wanted))
  } finally {
    closeSync(memory)
  }
}

function holds(memory: number, range: RegExpExecArray, wanted: readonly Buffer[]): boolean {
  const end = Number.parseInt(range[2] as string, 16)
  const overlap = Math.max(...wanted.map((needle) => needle.length))
  const buffer = Buffer.alloc(CHUNK_BYTES)
  let at = Number.parseInt(range[1] as string, 16)
  while (at < end) {
    const asked = Math.min(CHUNK_BYTES, end - at)
    const read = readOrNothing(memory, buffer, asked, at)
    if (read === 0) return false
    if (wanted.some((needle) => buffer.subarray(0, read).includes(needle))) return true
    at += read === asked && at + read < end ? Math.max(1, read - overlap) : read
  }
  return false
}

/** Ranges may go away between listing and reading. */
function readOrNothing(memory: number, buffer: Buffer, length: number, position: number): number {
  try {
    return readSync(memory, buffer, 0, length, position)
  } catch {
    return 0
  }
}
