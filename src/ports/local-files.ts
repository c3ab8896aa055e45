/**
 * The door to the files of whoever runs a command (a node's own data goes through Disk). Rejects with an Error whose
 * message can be shown.
 */
export interface LocalFiles {
  /** The whole file; rejects when it is longer than `bytesMax` or no file. */
  read(path: string, bytesMax: number): Promise<Buffer>;
  /** Writes through a temporary file beside it, so that no half of it is ever seen under its name. */
  save(path: string, bytes: Uint8Array): Promise<void>;
  /**
   * The same below the current directory, making sub-directories. Rejects when a segment or a symbolic link leads out of it.
   * Returns the path, relative to the current directory.
   */
  saveBelow(segments: readonly string[], bytes: Uint8Array): Promise<string>;
  /** Makes the directory and its missing parents. */
  makeDirectory(path: string): Promise<void>;
  /** Creates a file that only its owner can read; keeps an existing one. */
  createSecret(path: string, text: string): Promise<void>;
}
