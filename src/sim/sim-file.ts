/**
 * One file of the simulated disk: the content that the process sees, and what of it isn't on the medium yet.
 *
 * Each change keeps what it overwrote. A sync forgets the changes it covers, without copying a byte; a crash takes all
 * remaining ones back and then applies those again that chance let reach the medium, whole or torn at 512 bytes, in any
 * combination: POSIX promises no order between writes of one file.
 *
 * A failed sync leaves its changes in the page cache marked as clean: everybody reads them, no later sync writes them, and
 * a power failure loses them. Only writing the same pages again makes a sync cover them.
 * Source: [ALICE] "Persistence properties"; [S3ShardStore] "Checking crash consistency"; [FsyncFailures] "Can applications
 * recover from fsync failures?".
 */
import type { Random } from '../ports/random.ts';

/** What a disk writes in one piece. */
const SECTOR_BYTES = 512;
/** What the page cache marks as changed in one piece. */
const PAGE_BYTES = 4096;

type Change = { readonly order: number; readonly before: Buffer; readonly sizeBefore: number; isForgotten: boolean } & (
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly length: number });

export class SimFile {
  #content = Buffer.alloc(0);
  #size = 0;
  #unsynced: Change[] = [];
  /** Changes ever made; a sync covers those made before it began. */
  #changeCount = 0;

  /** A file with this content, all of it durable. */
  static of(content: Buffer): SimFile {
    const file = new SimFile();
    file.#put(0, content);
    return file;
  }

  /** What a power failure that keeps nothing unsynced would leave. */
  durableContent(): Buffer {
    const copy = SimFile.of(this.read(0, this.#size));
    for (const change of this.#unsynced.toReversed()) copy.#undo(change);
    return copy.read(0, copy.#size);
  }

  get size(): number {
    return this.#size;
  }

  get changeCount(): number {
    return this.#changeCount;
  }

  read(position: number, length: number): Buffer {
    return Buffer.from(this.#content.subarray(Math.min(position, this.#size), Math.min(position + length, this.#size)));
  }

  write(position: number, bytes: Buffer): void {
    const sizeBefore = this.#size;
    const before = this.read(position, bytes.length);
    this.#put(position, bytes);
    this.#dirty(position, position + bytes.length);
    this.#unsynced.push({ kind: 'write', order: this.#changeCount++, position, bytes, before, sizeBefore, isForgotten: false });
  }

  truncate(length: number): void {
    const sizeBefore = this.#size;
    const before = this.read(length, sizeBefore);
    this.#resize(length);
    this.#unsynced.push({ kind: 'truncate', order: this.#changeCount++, length, before, sizeBefore, isForgotten: false });
  }

  /** The first `changeCount` changes are on the medium, but for those that an earlier sync failed to write. */
  markSynced(changeCount: number): void {
    this.#unsynced = this.#unsynced.filter(({ order, isForgotten }) => isForgotten || order >= changeCount);
  }

  /** A sync of the first `changeCount` changes failed: nothing will write them any more. */
  markForgotten(changeCount: number): void {
    for (const change of this.#unsynced) if (change.order < changeCount) change.isForgotten = true;
  }

  /** Leaves what a power failure leaves. */
  crash(random: Random): void {
    const lost = this.#unsynced;
    this.#unsynced = [];
    for (const change of lost.toReversed()) this.#undo(change);
    for (const change of lost) if (!change.isForgotten) this.#redoByChance(change, random);
  }

  flipBit(position: number, bit: number): void {
    if (position < this.#size) this.#content[position] = (this.#content[position] ?? 0) ^ (1 << bit);
  }

  /** Whatever else lies in these pages is written with them. */
  #dirty(from: number, to: number): void {
    const first = Math.floor(from / PAGE_BYTES) * PAGE_BYTES;
    const last = Math.ceil(to / PAGE_BYTES) * PAGE_BYTES;
    for (const change of this.#unsynced) {
      if (change.isForgotten && change.kind === 'write' && change.position < last && change.position + change.bytes.length > first) change.isForgotten = false;
    }
  }

  #undo(change: Change): void {
    const position = change.kind === 'write' ? change.position : change.length;
    if (change.before.length > 0) this.#put(position, change.before);
    this.#resize(change.sizeBefore);
  }

  #redoByChance(change: Change, random: Random): void {
    const fate = random.below(4);
    if (fate === 0) return;
    if (change.kind === 'truncate') {
      this.#resize(change.length);
    } else if (fate === 1) {
      this.#redoTorn(change.position, change.bytes, random);
    } else {
      this.#put(change.position, change.bytes);
    }
  }

  /** Each sector that the write touched is there or not. */
  #redoTorn(position: number, bytes: Buffer, random: Random): void {
    const end = position + bytes.length;
    const keepsPrefix = random.below(2) === 0;
    const cut = position + random.below(bytes.length + 1);
    for (let from = position; from < end; ) {
      const to = Math.min(end, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      const isKept = keepsPrefix ? to <= cut : random.below(2) === 0;
      if (isKept) this.#put(from, bytes.subarray(from - position, to - position));
      from = to;
    }
  }

  #put(position: number, bytes: Buffer): void {
    if (position + bytes.length > this.#size) this.#resize(position + bytes.length);
    bytes.copy(this.#content, position);
  }

  /** A gap, and what comes back after a cut, is zeros. */
  #resize(length: number): void {
    if (length < this.#size) this.#content.fill(0, length, this.#size);
    if (length > this.#content.length) {
      const grown = Buffer.alloc(Math.max(length, this.#content.length * 2, 4096));
      this.#content.copy(grown, 0, 0, this.#size);
      this.#content = grown;
    }
    this.#size = length;
  }
}
