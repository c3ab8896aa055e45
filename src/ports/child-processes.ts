/** The door through which a command starts programs. */
export interface ChildProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What it prints is appended there. */
  readonly outputFile: string;
}

/** How a program ended, in words ("exit code 1", "SIGKILL"). */
export type ChildEnd = string;

export interface ChildProcess {
  /** Null when it could not be started. */
  readonly pid: number | null;
  /** Resolves once, when it has ended or could not be started. */
  readonly ended: Promise<ChildEnd>;
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
}

export interface ChildProcesses {
  start(options: ChildProcessOptions): ChildProcess;
}
