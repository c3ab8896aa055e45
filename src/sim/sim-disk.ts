/**
 * The disk of one simulated machine. It outlives the processes on it: `boot` hands each process life its own Disk door,
 * `crash` ends that life and leaves what a power failure leaves. Files lose writes that weren't synced or get them torn
 * (see SimFile); new, renamed and removed names are kept or lost one by one unless their directories were synced; a dead
 * life's calls never settle, as nobody is left to hear of them; its lock is free again. `kill` ends a life alone: what it
 * wrote stays readable and is still not on the medium.
 *
 * Every operation takes virtual time from the options, then happens at once. With all times 0 no timer is used.
 * Source: [ALICE] "Persistence properties"; protocol section H.4.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk, DiskFile, DiskLock, DiskSpace } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import { SimFile } from './sim-file.ts';

export type SimDiskOperation =
  | 'read' | 'write' | 'sync' | 'truncate' | 'open' | 'rename' | 'remove' | 'sync-directory' | 'list' | 'space' | 'lock' | 'make-directory';

export interface SimDiskDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Called as each operation begins, with the number of operations so far: for faults at chosen points. */
  readonly onOperation?: (operation: SimDiskOperation, count: number) => void;
}

export interface LatencyRange {
  readonly minMs: number;
  readonly maxMs: number;
}

export interface SimDiskOptions {
  readonly capacityBytes: number;
  /** Virtual milliseconds of a sync (file or directory) and of everything else. */
  readonly syncLatency: LatencyRange;
  readonly otherLatency: LatencyRange;
}

/** A change of directory entries that only a sync of its directories makes certain. */
interface EntryChange {
  readonly sets: readonly (readonly [path: string, file: SimFile | null])[];
  readonly unsyncedDirectories: Set<string>;
}

/** What is durable of a disk at one moment. */
export interface DiskSnapshot {
  readonly directories: readonly string[];
  readonly files: readonly (readonly [path: string, content: Buffer])[];
}

/** One process's time on this machine. */
interface Life {
  isOver: boolean;
  readonly timers: Set<Timer>;
  readonly locks: Set<string>;
}

/** The names of the log's files end so. */
export const SEGMENT_SUFFIX = '.seg';

export class SimDisk {
  readonly #deps: SimDiskDeps;
  readonly #options: SimDiskOptions;
  #watched: { readonly operation: SimDiskOperation; readonly where: string; readonly run: () => void } | null = null;
  readonly #directories = new Set<string>();
  #durable = new Map<string, SimFile>();
  #entries = new Map<string, SimFile>();
  #unsynced: EntryChange[] = [];
  #life: Life = { isOver: true, timers: new Set(), locks: new Set() };
  #operationCount = 0;
  #capacityBytes: number;
  #faultsMet = 0;
  readonly #rotten = new Set<string>();
  readonly #rottenFiles = new WeakSet<SimFile>();
  #faults: { readonly operation: SimDiskOperation; readonly code: string; skip: number; readonly where: string }[] = [];

  constructor(deps: SimDiskDeps, options: SimDiskOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#capacityBytes = options.capacityBytes;
  }

  /** The door for the next process; the one before it must be over. */
  boot(): Disk {
    if (!this.#life.isOver) this.crash();
    this.#life = { isOver: false, timers: new Set(), locks: new Set() };
    return new LifeDisk(this, this.#life);
  }

  /** The process ends, the machine goes on: what was written stays in the page cache, what was asked and not done isn't done. */
  kill(): void {
    this.#life.isOver = true;
    for (const timer of this.#life.timers) timer.cancel();
    this.#life.timers.clear();
  }

  /** The power fails: the running process ends and unsynced changes are kept, torn or lost by chance. */
  crash(): void {
    this.kill();
    const { random } = this.#deps;
    for (const change of this.#unsynced) {
      if (random.below(2) === 0) this.#applyTo(this.#durable, change);
    }
    this.#unsynced = [];
    for (const file of new Set([...this.#durable.values(), ...this.#entries.values()])) file.crash(random);
    this.#entries = new Map(this.#durable);
  }

  /** The machine gets an empty disk. */
  wipe(): void {
    this.crash();
    this.#durable.clear();
    this.#entries.clear();
    this.#directories.clear();
  }

  /** The next `operation` after `skip` more of its kind, on a path with `where` in it, fails with `code` (EIO, ENOSPC). */
  failNext(operation: SimDiskOperation, code: string, skip = 0, where = ''): void {
    this.#faults.push({ operation, code, skip, where });
  }

  /** Failures that processes on this disk have met so far, planted ones and those for want of space. */
  faultsMet(): number {
    return this.#faultsMet;
  }

  /** Takes back the faults that weren't met yet, and gives all of its space back. */
  forgiveFaults(): void {
    this.#faults = [];
    this.#watched = null;
    this.#capacityBytes = this.#options.capacityBytes;
  }

  /** A copy of what is on the medium and in the page cache, as a volume snapshot of a running machine holds it after its replay. */
  takeSnapshot(): DiskSnapshot {
    const directories = [...this.#directories];
    const files = [...this.#durable].map(([path, file]): [string, Buffer] => [path, file.durableContent()]);
    return { directories, files };
  }

  /** The power fails, and the disk comes back as it was then. */
  restore({ directories, files }: DiskSnapshot): void {
    this.wipe();
    for (const directory of directories) this.#directories.add(directory);
    for (const [path, content] of files) this.#durable.set(path, SimFile.of(content));
    this.#entries = new Map(this.#durable);
  }

  /** Bytes in all files. */
  usedBytes(): number {
    let bytes = 0;
    for (const file of this.#entries.values()) bytes += file.size;
    return bytes;
  }

  /** Files there are, sorted, with their sizes. */
  files(): readonly (readonly [path: string, bytes: number])[] {
    return [...this.#entries].map(([path, file]) => [path, file.size] as const).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Calls once, right after the next such operation on a path with `where` in it; null: no longer. Replaces the one before. */
  watchNext(watched: { readonly operation: SimDiskOperation; readonly where: string; readonly run: () => void } | null): void {
    this.#watched = watched;
  }

  setCapacity(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes;
  }

  /** What is stored now becomes that part of the volume (1: not a byte is free); null: the volume is as large as it was built. */
  setUsedPart(part: number | null): void {
    this.#capacityBytes = part === null ? this.#options.capacityBytes : Math.ceil(this.usedBytes() / part);
  }

  /** Rot: one bit of the stored content changes. */
  flipBit(path: string, position: number, bit: number): void {
    const file = this.#entries.get(path);
    if (file === undefined) return;
    file.flipBit(position, bit);
    this.#rotten.add(path);
    this.#rottenFiles.add(file);
  }

  /** A file is at this path again that has not rotted. */
  isMended(path: string): boolean {
    const file = this.#entries.get(path);
    return file !== undefined && !this.#rottenFiles.has(file);
  }

  /** A file whose path ends so holds flipped bits still. */
  holdsRot(suffix: string): boolean {
    return [...this.#entries].some(([path, file]) => path.endsWith(suffix) && this.#rottenFiles.has(file));
  }

  /** Whether bits of a file with this in its path have been flipped. */
  isRotten(pathPart: string): boolean {
    return [...this.#rotten].some((path) => path.includes(pathPart));
  }

  /** Present content, for tests to look at without waiting. */
  snapshot(): ReadonlyMap<string, Buffer> {
    const paths = [...this.#entries.keys()].sort();
    return new Map(paths.map((path) => [path, this.#entries.get(path)?.read(0, Infinity) ?? Buffer.alloc(0)]));
  }

  /** Runs `act` after the operation's time, if the life still lasts; a fault injected for it rejects instead. */
  run<T>(life: Life, operation: SimDiskOperation, path: string, act: () => T, onFault?: () => void): Promise<T> {
    if (!life.isOver) this.#deps.onOperation?.(operation, ++this.#operationCount);
    if (life.isOver) return new Promise(neverSettles);
    const fault = this.#takeFault(operation, path);
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        if (fault !== null) {
          this.#faultsMet++;
          onFault?.();
          reject(diskError(fault, operation));
          return;
        }
        try {
          resolve(act());
        } catch (error) {
          reject(error as Error);
        }
        this.#tellWatcher(operation, path);
      };
      const delayMs = this.#delayMs(operation);
      if (delayMs === 0) {
        finish();
        return;
      }
      const timer: Timer = this.#deps.clock.after(delayMs, () => {
        life.timers.delete(timer);
        finish();
      });
      life.timers.add(timer);
    });
  }

  makeDirectory(path: string): void {
    const parts = path.split('/');
    for (let i = parts.length; i > 1; i--) this.#directories.add(parts.slice(0, i).join('/'));
  }

  list(path: string): string[] {
    const names = new Set<string>();
    for (const entry of [...this.#entries.keys(), ...this.#directories]) {
      if (entry.startsWith(`${path}/`)) names.add(entry.slice(path.length + 1).split('/', 1)[0] ?? '');
    }
    return [...names].sort();
  }

  open(path: string, mode: 'create' | 'read' | 'update'): SimFile {
    const present = this.#entries.get(path);
    if (mode !== 'create') {
      if (present === undefined) throw diskError('ENOENT', path);
      return present;
    }
    if (present !== undefined) throw diskError('EEXIST', path);
    if (!this.#directories.has(directoryOf(path))) throw diskError('ENOENT', path);
    const file = new SimFile();
    this.#change([[path, file]]);
    return file;
  }

  rename(from: string, to: string): void {
    const file = this.#entries.get(from);
    if (file === undefined || !this.#directories.has(directoryOf(to))) throw diskError('ENOENT', from);
    this.#change([[from, null], [to, file]]);
  }

  remove(path: string): void {
    if (!this.#entries.has(path)) throw diskError('ENOENT', path);
    this.#change([[path, null]]);
  }

  syncDirectory(path: string): void {
    if (!this.#directories.has(path)) throw diskError('ENOENT', path);
    this.#unsynced = this.#unsynced.filter((change) => {
      change.unsyncedDirectories.delete(path);
      if (change.unsyncedDirectories.size > 0) return true;
      this.#applyTo(this.#durable, change);
      return false;
    });
  }

  space(): DiskSpace {
    return { totalBytes: this.#capacityBytes, freeBytes: Math.max(0, this.#capacityBytes - this.usedBytes()) };
  }

  write(file: SimFile, position: number, bytes: Buffer): void {
    const growthBytes = position + bytes.length - file.size;
    if (growthBytes > 0 && growthBytes > this.space().freeBytes) {
      this.#faultsMet++;
      throw diskError('ENOSPC', 'write');
    }
    file.write(position, bytes);
  }

  lock(life: Life, directory: string): DiskLock {
    if (!this.#directories.has(directory)) throw diskError('ENOENT', directory);
    if (life.locks.has(directory)) throw new DhtError('DHT_ERR_DATA_DIR_IN_USE', `a running process uses ${directory}`);
    life.locks.add(directory);
    return {
      release: () => {
        life.locks.delete(directory);
        return Promise.resolve();
      },
    };
  }

  #change(sets: EntryChange['sets']): void {
    const change = { sets, unsyncedDirectories: new Set(sets.map(([path]) => directoryOf(path))) };
    this.#applyTo(this.#entries, change);
    this.#unsynced.push(change);
  }

  #applyTo(entries: Map<string, SimFile>, change: EntryChange): void {
    for (const [path, file] of change.sets) {
      if (file === null) entries.delete(path);
      else entries.set(path, file);
    }
  }

  #tellWatcher(operation: SimDiskOperation, path: string): void {
    const watched = this.#watched;
    if (watched === null || watched.operation !== operation || !path.includes(watched.where)) return;
    this.#watched = null;
    watched.run();
  }

  #takeFault(operation: SimDiskOperation, path: string): string | null {
    const index = this.#faults.findIndex((fault) => fault.operation === operation && path.includes(fault.where));
    const fault = this.#faults[index];
    if (fault === undefined) return null;
    if (fault.skip > 0) {
      fault.skip--;
      return null;
    }
    this.#faults.splice(index, 1);
    return fault.code;
  }

  #delayMs(operation: SimDiskOperation): number {
    const isSync = operation === 'sync' || operation === 'sync-directory';
    const { minMs, maxMs } = isSync ? this.#options.syncLatency : this.#options.otherLatency;
    return maxMs === minMs ? minMs : minMs + this.#deps.random.float() * (maxMs - minMs);
  }
}

const neverSettles = (): void => undefined;

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function diskError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: simulated disk, ${what}`), { code });
}

/** The Disk door of one process life. */
class LifeDisk implements Disk {
  readonly #disk: SimDisk;
  readonly #life: Life;

  constructor(disk: SimDisk, life: Life) {
    this.#disk = disk;
    this.#life = life;
  }

  makeDirectory(path: string): Promise<void> {
    return this.#disk.run(this.#life, 'make-directory', path, () => { this.#disk.makeDirectory(path); });
  }
  list(path: string): Promise<string[]> {
    return this.#disk.run(this.#life, 'list', path, () => this.#disk.list(path));
  }
  open(path: string, mode: 'create' | 'read' | 'update'): Promise<DiskFile> {
    return this.#disk.run(this.#life, 'open', path, () => new LifeFile(this.#disk, this.#life, path, this.#disk.open(path, mode)));
  }
  rename(from: string, to: string): Promise<void> {
    return this.#disk.run(this.#life, 'rename', from, () => { this.#disk.rename(from, to); });
  }
  remove(path: string): Promise<void> {
    return this.#disk.run(this.#life, 'remove', path, () => { this.#disk.remove(path); });
  }
  syncDirectory(path: string): Promise<void> {
    return this.#disk.run(this.#life, 'sync-directory', path, () => { this.#disk.syncDirectory(path); });
  }
  space(): Promise<DiskSpace> {
    return this.#disk.run(this.#life, 'space', '', () => this.#disk.space());
  }
  lock(directory: string): Promise<DiskLock> {
    return this.#disk.run(this.#life, 'lock', directory, () => this.#disk.lock(this.#life, directory));
  }
}

class LifeFile implements DiskFile {
  readonly #disk: SimDisk;
  readonly #life: Life;
  /** Under which name it was opened: for faults at chosen files. */
  readonly #path: string;
  readonly #file: SimFile;
  #isClosed = false;

  constructor(disk: SimDisk, life: Life, path: string, file: SimFile) {
    this.#disk = disk;
    this.#life = life;
    this.#path = path;
    this.#file = file;
  }

  read(position: number, length: number): Promise<Buffer> {
    return this.#run('read', () => this.#file.read(position, length));
  }

  /** The caller's buffers are read only at the end, as a real disk may: reusing them too early shows. */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#run('write', () => { this.#disk.write(this.#file, position, Buffer.concat(chunks)); });
  }

  async writeDurably(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.write(position, chunks);
    await this.sync();
  }

  /** Covers what was written before the call. */
  sync(): Promise<void> {
    const changeCount = this.#file.changeCount;
    return this.#run('sync', () => { this.#file.markSynced(changeCount); }, () => { this.#file.markForgotten(changeCount); });
  }

  truncate(length: number): Promise<void> {
    return this.#run('truncate', () => { this.#file.truncate(length); });
  }

  size(): Promise<number> {
    return this.#run('space', () => this.#file.size);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #run<T>(operation: SimDiskOperation, act: () => T, onFault?: () => void): Promise<T> {
    if (this.#isClosed) return Promise.reject(diskError('EBADF', operation));
    return this.#disk.run(this.#life, operation, this.#path, act, onFault);
  }
}
