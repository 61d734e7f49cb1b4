/** Starts a daemon in the background: as a systemd unit where systemd runs, else detached. Comes from the executable. */
export interface DaemonLauncher {
  /** Returns how to see it: a unit's name or a log file's path. */
  start(args: string[], runDir: string): Promise<{ description: string }>
}
