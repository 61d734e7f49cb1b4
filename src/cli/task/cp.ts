import { lstat, mkdir, realpath, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, join, posix, relative, resolve, sep } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import type { Headers } from 'tar-fs'
import { invalid, notFound } from '../../api/errors.ts'
import { PATH_STAT_HEADER } from '../../api/path-stat.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext, Runner } from '../context.ts'
import { isNotFound, runningTask } from '../task-target.ts'

interface CopyOptions {
  archive?: boolean
  followLink?: boolean
  quiet?: boolean
}

/** What the Engine says of a path in a container. */
interface PathStat {
  name: string
  size: number
  /** Go's `os.FileMode`: a folder has its highest bit set. */
  mode: number
  linkTarget: string
}

const DIRECTORY_BIT = 0x80000000
const SYMLINK_BIT = 0x08000000

const isFolder = ({ mode }: PathStat): boolean => Math.floor(mode / DIRECTORY_BIT) % 2 === 1
const isLink = ({ mode }: PathStat): boolean => Math.floor(mode / SYMLINK_BIT) % 2 === 1

/** `web:/etc/nginx`: a task and a path. A local path never is one: it begins with `.` or `/`, or has no colon. */
const splitRemote = (argument: string): { ref: string; path: string } | undefined => {
  const at = argument.indexOf(':')
  if (at <= 0 || /^[./]/.test(argument)) return undefined
  return { ref: argument.slice(0, at), path: argument.slice(at + 1) || '/' }
}

/** Containers' paths are absolute; what is relative starts at the root, as with docker cp. A final `/` or `/.` stays. */
const absolute = (path: string): string => {
  const normal = posix.join('/', path)
  return /\/\.$/.test(path) && normal !== '/' ? `${normal.replace(/\/$/, '')}/.` : normal
}

const archivePath = (task: Task): string => `/tasks/${task.ID}/archive`

const remoteStat = async (
  { client }: CliContext,
  task: Task,
  path: string,
): Promise<PathStat | undefined> => {
  try {
    const answer = await client.open({ method: 'HEAD', path: archivePath(task), query: { path } })
    answer.resume()
    const text = answer.headers[PATH_STAT_HEADER]
    return JSON.parse(Buffer.from(String(text), 'base64').toString('utf8')) as PathStat
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** The path itself, or what a symbolic link at its end leads to. */
const followed = async (context: CliContext, task: Task, path: string): Promise<string> => {
  const found = await remoteStat(context, task, path)
  if (!found || !isLink(found) || found.linkTarget === '') return path
  return posix.resolve(posix.dirname(path), found.linkTarget)
}

const localStat = (path: string) =>
  stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw invalid(`can't read ${path}: ${error.message}`)
  })

/** Gives the first folder of an archive another name, or what is in `/`, which has none, a folder; an empty name unpacks it into the target itself. */
const renameRoot = (from: string, to: string) => {
  const renamed = (path: string): string => {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    if (from === '') parts.unshift(to)
    else if (parts[0] === from) parts[0] = to
    return parts.filter((part) => part !== '').join('/') || '.'
  }
  return (header: Headers): Headers => {
    header.name = renamed(header.name)
    // The types leave it out: a hard link names a member of the same archive.
    const link = header as Headers & { linkname?: string | null }
    if (header.type === 'link' && link.linkname) link.linkname = renamed(link.linkname)
    return header
  }
}

/** For tar-fs, which else takes away what this process' umask does; its types don't know the option. */
const MODES_AS_THEY_ARE: object = { umask: 0 }

/** @throws SwarmctlError for a link's place that another link of the archive, or one that was here, leads to somewhere else */
const requireNoLinkAbove = async (path: string, folder: string): Promise<void> => {
  let above = folder
  for (const part of relative(folder, dirname(path)).split(sep)) {
    above = join(above, part)
    const found = await lstat(above).catch(() => undefined)
    if (part !== '' && found?.isSymbolicLink()) {
      throw invalid(`${path} is not copied: ${above} is a symbolic link`)
    }
  }
}

/** Unpacks an archive. Symbolic links come last: whatever they lead to, nothing is written through them. */
const unpack = async (
  archive: Readable,
  folder: string,
  map: (header: Headers) => Headers,
  { archive: keepsOwner }: CopyOptions,
): Promise<void> => {
  const { extract } = await import('tar-fs')
  const links: { path: string; target: string }[] = []
  const target = extract(folder, {
    map,
    chown: keepsOwner === true,
    ...MODES_AS_THEY_ARE,
    ignore(path: string, header?: Headers & { linkname?: string | null }) {
      if (header?.type !== 'symlink') return false
      links.push({ path, target: header.linkname ?? '' })
      return true
    },
    // The types know no `chown`.
  } as Parameters<typeof extract>[1])
  await pipeline(archive, target as Writable)
  for (const { path, target: to } of links) {
    await requireNoLinkAbove(path, folder)
    await mkdir(dirname(path), { recursive: true })
    await rm(path, { force: true })
    await symlink(to, path)
  }
}

/** From a container to here. */
const copyOut = async (
  context: CliContext,
  { ref, path }: { ref: string; path: string },
  target: string,
  options: CopyOptions,
): Promise<void> => {
  const { client, terminal, signal } = context
  const task = await runningTask(context, ref)
  const given = absolute(path)
  const source = options.followLink ? await followed(context, task, given) : given
  const isContents = source.endsWith('/.')
  if (target === '-') {
    const answer = await client.open({ path: archivePath(task), query: { path: source }, signal })
    for await (const chunk of answer as AsyncIterable<Buffer>) await terminal.write('stdout', chunk)
    return
  }
  const found = await remoteStat(context, task, source)
  if (!found) throw notFound(`there is no ${path} in ${ref}`)
  const here = await localStat(target)
  if (!here && !(await localStat(dirname(resolve(target))))) {
    throw invalid(`no such folder: ${dirname(resolve(target))}`)
  }
  if (!isFolder(found) && !here && /\/$/.test(target)) throw invalid(`no such folder: ${target}`)
  if (isFolder(found) && here && !here.isDirectory()) {
    throw invalid(`can't copy a folder over the file ${target}`)
  }
  const answer = await client.open({ path: archivePath(task), query: { path: source }, signal })
  const isInto = here?.isDirectory() === true
  // What is in a folder goes into the target itself, all else beside what is there.
  const parent = isInto || isContents ? target : dirname(resolve(target))
  if (isContents) await mkdir(target, { recursive: true })
  // The Engine names neither `/` nor a folder of which the contents are asked for: the first name may be that of something in it.
  const root = found.name === '/' || isContents ? '' : posix.basename(source)
  const to = isContents ? '' : isInto ? root : basename(resolve(target))
  await unpack(answer, parent, renameRoot(root, to), options)
}

/** Where a local path goes to in a container: a folder that is there, and the name in it. */
const placeIn = async (
  context: CliContext,
  task: Task,
  path: string,
  source: { name: string; isFolder: boolean; isContents: boolean },
): Promise<{ folder: string; name: string }> => {
  const target = await followed(context, task, absolute(path))
  const found = await remoteStat(context, task, target)
  if (found && isFolder(found))
    return { folder: target, name: source.isContents ? '' : source.name }
  if (found && source.isFolder) throw invalid(`can't copy a folder over the file ${path}`)
  if (!found && !source.isFolder && path.endsWith('/')) throw invalid(`no such folder: ${path}`)
  const folder = posix.dirname(target.replace(/\/\.?$/, ''))
  const parent = await remoteStat(context, task, folder)
  if (!parent || !isFolder(parent)) throw invalid(`no such folder in the container: ${folder}`)
  return { folder, name: posix.basename(target.replace(/\/\.?$/, '')) }
}

const send = async (
  { client, signal }: CliContext,
  task: Task,
  folder: string,
  options: CopyOptions,
  { archive, source }: { archive: Readable; source: string },
): Promise<void> => {
  await client.upload({
    method: 'PUT',
    path: archivePath(task),
    query: { path: folder, noOverwriteDirNonDir: true, copyUIDGID: options.archive === true },
    headers: { 'Content-Type': 'application/x-tar' },
    signal,
    stream: archive,
    source,
  })
}

/** From here to a container. */
const copyIn = async (
  context: CliContext,
  source: string,
  { ref, path }: { ref: string; path: string },
  options: CopyOptions,
): Promise<void> => {
  const task = await runningTask(context, ref)
  if (source === '-') {
    const folder = await followed(context, task, absolute(path))
    return send(context, task, folder, options, {
      archive: context.terminal.input(),
      source: 'standard input',
    })
  }
  const isContents = /\/\.$|^\.$/.test(source)
  const entry = await lstat(
    options.followLink ? await realpath(source).catch(() => source) : source,
  ).catch((error: Error) => {
    throw invalid(`can't read ${source}: ${error.message}`)
  })
  const full = options.followLink ? await realpath(source) : resolve(source)
  const { folder, name } = await placeIn(context, task, path, {
    name: basename(full),
    isFolder: entry.isDirectory(),
    isContents,
  })
  const { pack } = await import('tar-fs')
  const isPlain = !entry.isDirectory()
  const archive = pack(isPlain ? dirname(full) : full, {
    ...MODES_AS_THEY_ARE,
    ...(isPlain && { entries: [basename(full)] }),
    map(header) {
      const inside = isPlain ? '' : header.name
      header.name = join(name, inside === '.' ? '' : inside) || '.'
      if (!options.archive) Object.assign(header, { uid: 0, gid: 0, uname: '', gname: '' })
      return header
    },
  })
  await send(context, task, folder, options, { archive: archive as Readable, source })
}

const copy = async (
  context: CliContext,
  source: string,
  target: string,
  options: CopyOptions,
): Promise<void> => {
  const [from, to] = [splitRemote(source), splitRemote(target)]
  if (from && to) throw invalid('copying between tasks is not supported: copy to here first')
  if (from) await copyOut(context, from, target, options)
  else if (to) await copyIn(context, source, to, options)
  else throw invalid('one side must be a task: SERVICE:PATH or TASK:PATH')
  if (options.quiet || target === '-' || !context.terminal.outputIsTerminal) return
  context.output.writeError(`Copied ${source} to ${target}\n`)
}

/** `swarmctl cp`: files to and from a task's container, on whichever node that is. */
export const copyVerb = (program: Command, run: Runner): void => {
  program
    .command('cp')
    .description('Copy files between here and a running task, on any node')
    .argument('<source>', 'A local path, SERVICE:PATH or TASK:PATH, or - for a tar archive')
    .argument('<target>', 'Likewise; - writes a tar archive')
    .option('-a, --archive', 'Keep user and group ids')
    .option('-L, --follow-link', 'Follow a symbolic link that is the source')
    .option('-q, --quiet', 'Do not say what was copied')
    .addHelpText('after', '\nExample:\n  swarmctl cp web.1:/etc/nginx/nginx.conf .\n')
    .action(
      run((context, source: string, target: string, options: CopyOptions) =>
        copy(context, source, target, options),
      ),
    )
}
