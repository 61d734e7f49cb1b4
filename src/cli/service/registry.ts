import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Placement } from '../../api/service-spec.ts'
import { familiarImage } from '../../stack/parse/image-reference.ts'
import type { CliContext } from '../context.ts'
import type { Draft } from './draft.ts'

/** Docker's name for its own registry in the credentials file. */
const DOCKER_HUB = 'https://index.docker.io/v1/'

interface DockerConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string }>
  credsStore?: string
  credHelpers?: Record<string, string>
}

/** The registry of an image name: the part before the first slash when it looks like a host. */
export const registryOf = (image: string): string => {
  const [first = '', ...rest] = image.replace(/^(index\.)?docker\.io\//, '').split('/')
  return rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? first : DOCKER_HUB
}

const helperCredentials = async (helper: string, registry: string) => {
  const asking = promisify(execFile)(`docker-credential-${helper}`, ['get'])
  asking.child.stdin?.end(registry)
  const { Username, Secret } = JSON.parse((await asking).stdout) as Record<string, string>
  return { username: Username, password: Secret, serveraddress: registry }
}

/** The `X-Registry-Auth` header for an image, from the docker CLI's own configuration; empty credentials when it has none. */
export const registryAuth = async (context: CliContext, image: string): Promise<string> => {
  const registry = registryOf(image)
  const dir = context.env.DOCKER_CONFIG ?? join(context.env.HOME ?? homedir(), '.docker')
  let auth: object = {}
  try {
    const config = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as DockerConfig
    const helper = config.credHelpers?.[registry] ?? config.credsStore
    const stored = config.auths?.[registry]
    if (helper) auth = await helperCredentials(helper, registry)
    else if (stored?.auth) {
      const [username, ...password] = Buffer.from(stored.auth, 'base64').toString().split(':')
      auth = { username, password: password.join(':'), serveraddress: registry }
    }
  } catch (error) {
    context.output.writeError(
      `no registry credentials found for ${registry} (${(error as Error).message}); log in with docker login\n`,
    )
  }
  // The Engine's decoder wants the URL alphabet with its padding, which Node leaves out.
  return Buffer.from(JSON.stringify(auth))
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('/', '_')
}

interface Distribution {
  Descriptor?: { digest?: string }
  Platforms?: { architecture?: string; os?: string }[] | null
}

/** Where the image runs. A node tells only that it is an ARM, an image also which, so that no name of it is compared. */
const platformsOf = ({ Platforms }: Distribution): NonNullable<Placement['Platforms']> =>
  (Platforms ?? []).map(({ architecture = '', os = '' }) => ({
    Architecture: architecture.toLowerCase() === 'arm' ? '' : architecture,
    OS: os,
  }))

/** An image as it goes into a spec. */
export interface ResolvedImage {
  image: string
  /** None when the registry can't tell. */
  platforms: NonNullable<Placement['Platforms']>
  /** Lines to print once the spec was accepted: a refusal stands alone. */
  warnings: string[]
}

/** An image with the digest that its registry has for it now, so that every node runs the same; as it is, with a warning, when the registry can't tell. */
export const resolveImage = async (
  context: CliContext,
  image: string,
  auth: string | undefined,
): Promise<ResolvedImage> => {
  const tagged = familiarImage(image)
  try {
    const found = await context.client.call<Distribution>({
      path: `/distribution/${tagged}/json`,
      ...(auth && { headers: { 'X-Registry-Auth': auth } }),
    })
    const digest = found.Descriptor?.digest
    const isOpen = digest !== undefined && digest !== '' && !tagged.includes('@')
    return {
      image: isOpen ? `${tagged}@${digest}` : tagged,
      platforms: platformsOf(found),
      warnings: [],
    }
  } catch {
    const warning = `image ${tagged} could not be accessed on a registry to record its digest. Each node will access ${tagged} independently, possibly leading to different nodes running different versions of the image.`
    return { image: tagged, platforms: [], warnings: [warning] }
  }
}

/**
 * Writes the image into the spec, with its platforms where the registry is asked and tells them, so that no node gets it that can't
 * run it. Without a tag it is its `latest`, and says so: the docker CLI does, and its next update would else change the image.
 * @returns the warnings of `ResolvedImage`
 */
export const applyImage = async (
  context: CliContext,
  draft: Draft,
  image: string,
  { auth, isAsked }: { auth: string | undefined; isAsked: boolean },
): Promise<string[]> => {
  const unasked = { image: familiarImage(image), platforms: [], warnings: [] }
  const resolved = isAsked ? await resolveImage(context, image, auth) : unasked
  draft.container.Image = resolved.image
  if (resolved.platforms.length > 0) draft.placement.Platforms = resolved.platforms
  return resolved.warnings
}
