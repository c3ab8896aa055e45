/**
 * The only door to storage. What the simulator's disk promises is what POSIX does and no more: nothing survives a
 * crash before `sync` of the file, no new, renamed or removed name before `syncDirectory` of its directory.
 * Paths are absolute, `/`-separated. Errors reject with `code` like Node's (ENOENT, EIO, ENOSPC, EEXIST).
 * Source: [ALICE] "Persistence properties".
 */
export interface DiskFile {
  /** Up to `length` bytes from `position`; shorter only at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  /** Writes all chunks one after the other at `position`, as one gathered write. */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /**
   * `write` and `sync` of these bytes in one, which saves a log half of its trips to the disk. The file must still have the
   * name that it was opened with. A rejection leaves the content unknown.
   */
  writeDurably(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** fdatasync: data and size are on the medium when it resolves. A rejection leaves the content unknown. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface DiskSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface DiskLock {
  release(): Promise<void>;
}

export interface Disk {
  /** Creates the directory and its missing parents, durably. */
  makeDirectory(path: string): Promise<void>;
  /** Names in the directory, sorted; empty when it does not exist. */
  list(path: string): Promise<string[]>;
  /** `create`: must not exist yet. `read`, `update`: must exist. */
  open(path: string, mode: 'create' | 'read' | 'update'): Promise<DiskFile>;
  /** Atomically replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  space(path: string): Promise<DiskSpace>;
  /**
   * Takes the directory for this process (a Unix socket in it: Node has no flock, and every container's PID is 1).
   * Rejects with DHT_ERR_DATA_DIR_IN_USE while a living process holds it; a stale socket is replaced.
   */
  lock(directory: string): Promise<DiskLock>;
}
