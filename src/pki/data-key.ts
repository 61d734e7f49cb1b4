import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SwarmctlError } from '../api/errors.ts'
import { writeFileAtomic } from './atomic-file.ts'
import { refuseNewer } from './file-version.ts'
import { openBox, sealBox } from './sealed-box.ts'

const FILE_NAME = 'data-key.json'
/** Version of the file's format. */
const VERSION = 1
const UNLOCK_KEY = /^SWMKEY-1-([A-Za-z0-9+/]{43})$/

/** Bytes of the key that seals a manager's raft log and state: AES-256. */
export const DATA_KEY_BYTES = 32

/** `plain`: readable by root on this machine. `sealed` (autolock): with the cluster's unlock key, which is on no disk. */
const DataKeyFile = z.discriminatedUnion('kind', [
  z.object({ version: z.literal(VERSION), kind: z.literal('plain'), key: z.base64() }),
  z.object({ version: z.literal(VERSION), kind: z.literal('sealed'), box: z.base64() }),
])

/** A new unlock key as Docker prints it: `SWMKEY-1-` and 32 bytes of unpadded base64. `random` gives that many bytes. */
export const newUnlockKey = (random: (count: number) => Uint8Array = randomBytes): string =>
  `SWMKEY-1-${Buffer.from(random(32)).toString('base64').replace(/=+$/, '')}`

/** Docker's words. */
const wrongUnlockKey = (): SwarmctlError =>
  new SwarmctlError('UNAUTHENTICATED', 'swarm could not be unlocked: invalid key provided')

const unlockKeyBytes = (unlockKey: string): Buffer => {
  const match = UNLOCK_KEY.exec(unlockKey.trim())
  if (!match) throw wrongUnlockKey()
  return Buffer.from(match[1]!, 'base64')
}

const unseal = (box: string, unlockKey: string): Uint8Array => {
  const key = openBox(unlockKeyBytes(unlockKey), box)
  if (key === undefined) throw wrongUnlockKey()
  return key
}

/** Stores the data key durably (0600): sealed with `unlockKey` when given, else plain. Replaces what was there. */
export const storeDataKey = async (
  directory: string,
  key: Uint8Array,
  unlockKey?: string,
): Promise<void> => {
  const content =
    unlockKey === undefined
      ? { version: VERSION, kind: 'plain', key: Buffer.from(key).toString('base64') }
      : { version: VERSION, kind: 'sealed', box: sealBox(unlockKeyBytes(unlockKey), key) }
  await writeFileAtomic(join(directory, FILE_NAME), `${JSON.stringify(content)}\n`)
}

/** A stored data key: the key itself, or that it waits for the unlock key. */
export type StoredDataKey = { kind: 'open'; key: Uint8Array } | { kind: 'locked' }

/**
 * The stored data key; undefined when there is none. Throws UNAUTHENTICATED for a wrong unlock key, INTERNAL for a damaged
 * file (what it sealed can't be read any more: the node has to leave and join again).
 */
export const loadDataKey = async (
  directory: string,
  unlockKey?: string,
): Promise<StoredDataKey | undefined> => {
  const path = join(directory, FILE_NAME)
  let file: z.infer<typeof DataKeyFile>
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    refuseNewer(path, value, VERSION)
    file = DataKeyFile.parse(value)
  } catch (cause) {
    if (cause instanceof SwarmctlError) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SwarmctlError(
      'INTERNAL',
      `${path} can't be read or is damaged: leave the cluster with --force and join it again`,
      { cause },
    )
  }
  switch (file.kind) {
    case 'plain':
      return { kind: 'open', key: Buffer.from(file.key, 'base64') }
    case 'sealed':
      if (unlockKey === undefined) return { kind: 'locked' }
      return { kind: 'open', key: unseal(file.box, unlockKey) }
    default:
      return file satisfies never
  }
}
