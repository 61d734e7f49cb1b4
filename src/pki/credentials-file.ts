import { readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { SwarmctlError } from '../api/errors.ts'
import { syncDirectory, writeFileAtomic } from './atomic-file.ts'
import { type Credentials, type CredentialsPem, readCredentials } from './credentials.ts'

const FILE_NAME = 'credentials.json'

/** The file's format: key and certificate in one file, so that a renewal replaces both or neither. */
const CredentialsFile = z.object({
  version: z.literal(1),
  keyPem: z.string(),
  certPem: z.string(),
  rootCAPem: z.string(),
})

/** Where a node's credentials are in its state directory. */
export const credentialsPath = (directory: string): string => join(directory, FILE_NAME)

/** Stores credentials durably, readable by the owner only. */
export const storeCredentials = (directory: string, credentials: CredentialsPem): Promise<void> => {
  const { keyPem, certPem, rootCAPem } = credentials
  const content = JSON.stringify({ version: 1, keyPem, certPem, rootCAPem }, undefined, 2)
  return writeFileAtomic(credentialsPath(directory), `${content}\n`)
}

/**
 * The stored credentials, checked to belong together (not for their time: see `checkValidity`); undefined when the node has
 * none. Throws UNAUTHENTICATED when they are damaged, UNIMPLEMENTED when a newer version wrote them.
 */
export const loadCredentials = async (directory: string): Promise<Credentials | undefined> => {
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
  return readCredentials(parse(path, text))
}

const parse = (path: string, text: string): CredentialsPem => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new SwarmctlError(
      'UNAUTHENTICATED',
      `${path} is damaged: leave the cluster and join it again`,
      { cause },
    )
  }
  const version = (value as { version?: unknown } | null)?.version
  if (typeof version === 'number' && version > 1) {
    throw new SwarmctlError(
      'UNIMPLEMENTED',
      `${path} was written by a newer swarmctl (format ${version}): run that version`,
    )
  }
  const file = CredentialsFile.safeParse(value)
  if (file.success) return file.data
  throw new SwarmctlError(
    'UNAUTHENTICATED',
    `${path} is damaged: leave the cluster and join it again`,
    { cause: file.error },
  )
}

/** Removes the stored credentials: the node is in no cluster any more. */
export const removeCredentials = async (directory: string): Promise<void> => {
  const path = credentialsPath(directory)
  try {
    await unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  await syncDirectory(dirname(path))
}
