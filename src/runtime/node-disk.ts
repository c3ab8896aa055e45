/**
 * The Disk door on Node: positioned reads and gathered writes on FileHandles.
 *
 * What it adds to the plain calls: a partial write is continued, a new directory is made durable level by level, and the
 * directory lock. The lock is a Unix socket in the directory, for Node has no flock and in a container every process
 * has PID 1. A socket that nobody answers is left over from a dead process and is moved aside; should the holder turn out
 * to be alive after all (two starts at the same moment), it is put back. Socket paths end at 108 bytes on Linux and 104
 * elsewhere, so a long directory is named through /proc/self/fd.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as net from 'node:net';
import * as path from 'node:path';
import { DhtError } from '../domain/error-catalogue.ts';
import type { Disk, DiskFile, DiskLock, DiskSpace } from '../ports/disk.ts';

const LOCK_NAME = 'lock';
const LOCK_ASIDE_NAME = 'lock.stale';
/** Bytes of a Unix socket's path that every platform takes. */
const SOCKET_PATH_BYTES_MAX = 100;
/** Milliseconds in which a living holder's socket accepts; the kernel does it, however busy the process is. */
const LOCK_ANSWER_TIMEOUT_MS = 2000;

const OPEN_FLAGS = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  read: constants.O_RDONLY,
  update: constants.O_RDWR,
} as const;

class NodeDiskFile implements DiskFile {
  readonly #path: string;
  readonly #handle: fs.FileHandle;
  /** A second descriptor whose writes return when they are on the medium; opened when first wanted. */
  #durable: Promise<fs.FileHandle> | null = null;

  constructor(file: string, handle: fs.FileHandle) {
    this.#path = file;
    this.#handle = handle;
  }

  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return writeAll(this.#handle, position, chunks);
  }

  async writeDurably(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#durable ??= fs.open(this.#path, constants.O_WRONLY | constants.O_DSYNC);
    await writeAll(await this.#durable, position, chunks);
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.#durable?.then((handle) => handle.close(), () => undefined);
    await this.#handle.close();
  }
}

/** Goes on after a partial write. */
async function writeAll(handle: fs.FileHandle, position: number, chunks: readonly Uint8Array[]): Promise<void> {
  let left = chunks.filter((chunk) => chunk.length > 0);
  let at = position;
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = withoutFirstBytes(left, bytesWritten);
  }
}

function withoutFirstBytes(chunks: readonly Uint8Array[], byteCount: number): Uint8Array[] {
  let skip = byteCount;
  const left: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(skip === 0 ? chunk : chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return left;
}

export class NodeDisk implements Disk {
  async makeDirectory(directory: string): Promise<void> {
    const first = await fs.mkdir(directory, { recursive: true });
    if (first === undefined) return;
    let created = path.resolve(directory);
    const top = path.dirname(path.resolve(first));
    while (created !== top) {
      created = path.dirname(created);
      await this.syncDirectory(created);
    }
  }

  async list(directory: string): Promise<string[]> {
    try {
      return (await fs.readdir(directory)).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async open(file: string, mode: 'create' | 'read' | 'update'): Promise<DiskFile> {
    return new NodeDiskFile(file, await fs.open(file, OPEN_FLAGS[mode], 0o640));
  }

  rename(from: string, to: string): Promise<void> {
    return fs.rename(from, to);
  }

  remove(file: string): Promise<void> {
    return fs.unlink(file);
  }

  async syncDirectory(directory: string): Promise<void> {
    const handle = await fs.open(directory, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async space(directory: string): Promise<DiskSpace> {
    const { blocks, bavail, bsize } = await fs.statfs(directory);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  }

  async lock(directory: string): Promise<DiskLock> {
    const anchor = await fs.open(directory, constants.O_RDONLY);
    try {
      const place = socketDirectory(directory, anchor.fd);
      const server = (await listenOn(path.join(place, LOCK_NAME))) ?? (await replaceStale(directory, place));
      if (server === null) throw new DhtError('DHT_ERR_DATA_DIR_IN_USE', `a running process uses ${directory}`);
      return {
        release: async () => {
          await new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
          await anchor.close();
        },
      };
    } catch (error) {
      await anchor.close();
      throw error;
    }
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

/** A name for the directory that is short enough for a socket in it. */
function socketDirectory(directory: string, fd: number): string {
  const relative = path.relative(process.cwd(), directory);
  for (const place of [directory, relative]) {
    if (Buffer.byteLength(path.join(place, LOCK_ASIDE_NAME)) <= SOCKET_PATH_BYTES_MAX) return place;
  }
  if (process.platform === 'linux') return `/proc/self/fd/${fd}`;
  throw new DhtError('DHT_ERR_SETTING_INVALID', `the path of the data directory is too long for a socket in it: ${directory}`);
}

/** Null: the name is taken. */
function listenOn(socket: string): Promise<net.Server | null> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((stream) => { stream.destroy(); });
    server.once('error', (error) => {
      if (codeOf(error) === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(socket, () => {
      server.unref();
      resolve(server);
    });
  });
}

function isAnswered(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const stream = net.connect(socket);
    const timer = setTimeout(() => { finish(true); }, LOCK_ANSWER_TIMEOUT_MS);
    const finish = (answer: boolean): void => {
      clearTimeout(timer);
      stream.destroy();
      resolve(answer);
    };
    stream.once('connect', () => { finish(true); });
    stream.once('error', (error) => { finish(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'); });
  });
}

/** Takes over the lock of a dead process; null when its holder lives. */
async function replaceStale(directory: string, place: string): Promise<net.Server | null> {
  if (await isAnswered(path.join(place, LOCK_NAME))) return null;
  const held = path.join(directory, LOCK_NAME);
  const aside = path.join(directory, LOCK_ASIDE_NAME);
  await fs.rename(held, aside).catch(ignoreMissing);
  if (await isAnswered(path.join(place, LOCK_ASIDE_NAME))) {
    await fs.rename(aside, held);
    return null;
  }
  await fs.unlink(aside).catch(ignoreMissing);
  return listenOn(path.join(place, LOCK_NAME));
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
