/** A daemon that was started in the background. */
export interface LaunchedDaemon {
  /** How to see it: a unit's name or a log file's path. */
  readonly description: string
  /** Whether it has ended, and nobody starts it again. */
  hasEnded(): Promise<boolean>
}

/** Starts a daemon in the background: as a systemd unit where systemd runs, else detached. Comes from the executable. */
export interface DaemonLauncher {
  start(args: string[], runDir: string): Promise<LaunchedDaemon>
}
