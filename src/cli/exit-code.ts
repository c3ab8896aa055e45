/** How a command ends. Documented in docs/command-line.md; scripts rely on the numbers. */
export const EXIT = {
  OK: 0,
  /** Anything without a number of its own. */
  ERROR: 1,
  /** The command line or a setting is wrong. */
  USAGE: 2,
  /** A condition doesn't hold, or the node is in a state that doesn't allow it. */
  CONFLICT: 3,
  /** There is no such object. */
  ABSENT: 4,
  /** No node answered, or too few; nothing was changed. A retry may help. */
  UNAVAILABLE: 5,
  /** A write may or may not have been applied. */
  UNKNOWN: 6,
  /** A bug: the program met an error of its own. */
  INTERNAL: 70,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a message and an exit code. */
export class CommandFailure extends Error {
  readonly exitCode: ExitCode;
  /** The catalogue's code, when a node gave one. */
  readonly code: string | null;

  constructor(exitCode: ExitCode, message: string, code: string | null = null) {
    super(message);
    this.exitCode = exitCode;
    this.code = code;
  }
}

export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(EXIT.USAGE, `${message}; see dht help`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
