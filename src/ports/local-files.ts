/**
 * The door to the files of whoever runs a command (a node's own data goes through Disk). Everything rejects with an Error
 * whose message can be shown.
 */
import type { BodySource } from '../domain/object-operation.ts';

/** A file that is being read, from its beginning. */
export interface OpenFile extends BodySource {
  /** Bytes when it was opened. */
  readonly size: number;
  close(): Promise<void>;
}

export interface FoundFile {
  readonly path: string;
  /** The names of its directories below the one that was walked, and its own. */
  readonly segments: readonly string[];
  readonly size: number;
}

/** What isn't handed out by a walk, and why. */
export interface SkippedFile {
  readonly path: string;
  readonly skipped: string;
}

/** Where a file is going to be. */
export interface FilePlace {
  readonly path: string;
  /** What an earlier attempt left: the tag it was begun with. */
  unfinished(): Promise<string | null>;
  /** The unfinished file with this tag, or an empty one; those with other tags are removed. */
  begin(tag: string): Promise<PartFile>;
}

/** A file beside its place until it is whole, so that no half of it is ever seen there. */
export interface PartFile {
  /** Bytes that were there when it was begun. */
  readonly size: number;
  /** Those bytes. */
  kept(): Promise<OpenFile>;
  append(bytes: Uint8Array): Promise<void>;
  /** Puts it in its place. */
  finish(): Promise<void>;
  /** Ends without it: kept for a later attempt, or dropped. */
  abandon(how: 'keep' | 'drop'): Promise<void>;
}

export interface LocalFiles {
  /** The whole file; rejects when it is longer than `bytesMax` or no file. */
  read(path: string, bytesMax: number): Promise<Buffer>;
  /** Rejects for what isn't a file. */
  open(path: string): Promise<OpenFile>;
  isDirectory(path: string): Promise<boolean>;
  /** All files below a directory, sorted in each; symbolic links to directories are skipped. */
  walk(directory: string): AsyncIterable<FoundFile | SkippedFile>;
  /** Rejects for what is there and isn't a file. */
  place(path: string): Promise<FilePlace>;
  /**
   * The same below the current directory, making sub-directories. Rejects when a segment or a symbolic link leads out of it.
   * Its path is relative to the current directory.
   */
  placeBelow(segments: readonly string[]): Promise<FilePlace>;
  /** Makes the directory and its missing parents. */
  makeDirectory(path: string): Promise<void>;
  /** Creates a file that only its owner can read; keeps an existing one. */
  createSecret(path: string, text: string): Promise<void>;
}
