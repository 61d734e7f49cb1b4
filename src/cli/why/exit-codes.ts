/** What exit codes usually mean: the shell's and the Engine's own, and signals above 128. */
const MEANINGS = new Map([
  [125, 'the Engine could not run the container'],
  [126, 'the command is there but can not be executed'],
  [127, 'the command is not in the image'],
  [130, 'interrupted (SIGINT)'],
  [132, 'illegal instruction (SIGILL): an image for another processor?'],
  [134, 'aborted (SIGABRT)'],
  [137, 'killed (SIGKILL): out of memory, or it did not stop within its grace period'],
  [139, 'segmentation fault (SIGSEGV)'],
  [143, 'stopped (SIGTERM)'],
])

/** `exit code 137: killed (SIGKILL) …`; `isOutOfMemory` is the kernel's own word. */
export const exitMeaning = (code: number, isOutOfMemory: boolean): string => {
  if (isOutOfMemory) return `exit code ${code}: killed, it used more memory than its limit`
  const meaning = MEANINGS.get(code)
  if (meaning) return `exit code ${code}: ${meaning}`
  return `exit code ${code}`
}
