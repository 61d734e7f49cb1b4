import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SwarmctlError } from '../api/errors.ts'
import type { FileStore, TaskFile, TaskFiles } from './task-files.ts'

const run = promisify(execFile)

/** Mount points in /proc/self/mounts have spaces and backslashes as octal escapes. */
const unescapeMount = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )

/**
 * Tasks' secrets and configs as files on a tmpfs that it mounts itself: /run may be an ordinary disk. A later daemon uses the same
 * mount, so that running containers keep their files. After a reboot it is empty.
 */
export class SecretsTmpfs implements FileStore {
  readonly #path: string

  /** `path`: an absolute directory below --run-dir, for this alone. */
  constructor(options: { path: string }) {
    this.#path = options.path
  }

  async open(): Promise<void> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 })
    if (await this.#isMounted()) return
    try {
      // Without swap where the kernel can (6.3), so that nothing of it ever reaches a disk.
      await this.#mount('mode=0700,nosuid,nodev,noexec,noswap')
    } catch {
      try {
        await this.#mount('mode=0700,nosuid,nodev,noexec')
      } catch (error) {
        throw new SwarmctlError(
          'FAILED_PRECONDITION',
          `cannot mount a tmpfs for secrets at ${this.#path}: the daemon has to run as root with the mount command`,
          { cause: error },
        )
      }
    }
  }

  async write(taskId: string, files: readonly TaskFile[]): Promise<TaskFiles> {
    if (files.length === 0) return { mounts: [] }
    const directory = join(this.#path, taskId)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const mounts = files.map(({ target }, index) => ({
      source: join(directory, String(index)),
      target,
    }))
    await Promise.all(
      files.map(async ({ data, mode, uid, gid }, index) => {
        const path = mounts[index]!.source
        await writeFile(path, data, { mode: 0o600 })
        await chown(path, uid, gid)
        // After chown, which clears set-id bits; and the mode at creation is cut by the umask.
        await chmod(path, mode)
      }),
    )
    return { mounts }
  }

  async remove(taskId: string): Promise<void> {
    await rm(join(this.#path, taskId), { recursive: true, force: true })
  }

  async keepOnly(taskIds: ReadonlySet<string>): Promise<void> {
    const present = await readdir(this.#path)
    await Promise.all(present.filter((id) => !taskIds.has(id)).map((id) => this.remove(id)))
  }

  async destroy(): Promise<void> {
    if (await this.#isMounted()) await run('umount', ['-l', this.#path])
    await rm(this.#path, { recursive: true, force: true })
  }

  async #mount(options: string): Promise<void> {
    await run('mount', ['-t', 'tmpfs', '-o', options, 'swarmctl-secrets', this.#path])
  }

  async #isMounted(): Promise<boolean> {
    // The kernel names what a link leads to: /var/run is often one.
    const real = await realpath(this.#path).catch(() => this.#path)
    const mounts = await readFile('/proc/self/mounts', 'utf8')
    return mounts
      .split('\n')
      .map((line) => line.split(' '))
      .some(([, path, type]) => type === 'tmpfs' && unescapeMount(path ?? '') === real)
  }
}
