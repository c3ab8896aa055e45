/** The door to whoever runs a command: what it prints, and the wish to stop. */
export interface Terminal {
  /** Results: what a pipe gets. */
  print(content: string | Uint8Array): void;
  /** Everything else: messages, progress. */
  note(text: string): void;
  /** Whether notes go to a person, who can be shown something that changes. */
  readonly isInteractive: boolean;
  /** Characters in a line. */
  readonly columns: number;
  /** Calls `fn` at each interrupt or termination signal. */
  onStop(fn: () => void): void;
}
