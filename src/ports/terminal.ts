/** The door to whoever runs a command: what it prints, and the wish to stop. */
export interface Terminal {
  /** Results: what a pipe gets. */
  print(content: string): void;
  /** The same for a piece of a large result; resolves when there is room for the next. */
  pour(bytes: Uint8Array): Promise<void>;
  /** Everything else: messages, progress. */
  note(text: string): void;
  /** Whether notes go to a person, who can be shown something that changes. */
  readonly isInteractive: boolean;
  /** Characters in a line. */
  readonly columns: number;
  /** Calls `fn` at each interrupt or termination signal. */
  onStop(fn: () => void): void;
}
