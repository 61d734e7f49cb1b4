import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SwarmctlError } from '../api/errors.ts'
import { writeFileAtomic } from './atomic-file.ts'
import {
  type Credentials,
  type CredentialsPem,
  LOCKED_KEY,
  readCredentials,
} from './credentials.ts'
import { refuseNewer } from './file-version.ts'
import { openText, sealText } from './text-seal.ts'

const FILE_NAME = 'credentials.json'
const VERSION_MAX = 2
/** What the sealed private key is for: it can't be taken for anything else that the data key seals. */
const SEAL_PURPOSE = 'swarmctl node key 1'

/** The file's formats: key and certificate in one file, so that a renewal replaces both or neither. */
const CredentialsFile = z.discriminatedUnion('version', [
  z.object({
    version: z.literal(1),
    keyPem: z.string(),
    certPem: z.string(),
    rootCAPem: z.string(),
  }),
  // Autolock: the private key sealed with the data key, which the unlock key seals.
  z.object({
    version: z.literal(2),
    keyBox: z.base64(),
    certPem: z.string(),
    rootCAPem: z.string(),
  }),
])
type CredentialsFile = z.infer<typeof CredentialsFile>

/** Where a node's credentials are in its state directory. */
export const credentialsPath = (directory: string): string => join(directory, FILE_NAME)

/** Stores credentials durably, readable by the owner only; the private key sealed with `dataKey` when given. */
export const storeCredentials = (
  directory: string,
  credentials: CredentialsPem,
  dataKey?: Uint8Array,
): Promise<void> => {
  const { keyPem, certPem, rootCAPem } = credentials
  const content: CredentialsFile =
    dataKey === undefined
      ? { version: 1, keyPem, certPem, rootCAPem }
      : { version: 2, keyBox: sealText(dataKey, SEAL_PURPOSE, keyPem), certPem, rootCAPem }
  return writeFileAtomic(credentialsPath(directory), `${JSON.stringify(content, undefined, 2)}\n`)
}

/**
 * The stored credentials, checked to belong together (not for their time: see `checkValidity`); undefined when the node has
 * none. A sealed private key needs `dataKey`; without it `keyPem` is `LOCKED_KEY`. Throws UNAUTHENTICATED when they are damaged,
 * UNIMPLEMENTED when a newer version wrote them.
 */
export const loadCredentials = async (
  directory: string,
  dataKey?: Uint8Array,
): Promise<Credentials | undefined> => {
  const path = credentialsPath(directory)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SwarmctlError('INTERNAL', `can't read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const file = parse(path, text)
  return readCredentials({
    keyPem: keyOf(path, file, dataKey),
    certPem: file.certPem,
    rootCAPem: file.rootCAPem,
  })
}

const keyOf = (path: string, file: CredentialsFile, dataKey: Uint8Array | undefined): string => {
  if (file.version === 1) return file.keyPem
  if (dataKey === undefined) return LOCKED_KEY
  const keyPem = openText(dataKey, SEAL_PURPOSE, file.keyBox)
  if (keyPem !== undefined) return keyPem
  throw damaged(path)
}

const damaged = (path: string, cause?: unknown): SwarmctlError =>
  new SwarmctlError('UNAUTHENTICATED', `${path} is damaged: leave the cluster and join it again`, {
    cause,
  })

const parse = (path: string, text: string): CredentialsFile => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw damaged(path, cause)
  }
  refuseNewer(path, value, VERSION_MAX)
  const file = CredentialsFile.safeParse(value)
  if (file.success) return file.data
  throw damaged(path, file.error)
}
