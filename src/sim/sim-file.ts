/**
 * One file of the simulated disk: the content that the process sees, and what of it isn't on the medium yet.
 *
 * Each change keeps what it overwrote. A sync forgets the changes it covers, without copying a byte; a crash takes all
 * remaining ones back and then applies those again that chance let reach the medium, whole or torn at 512 bytes, in any
 * combination: POSIX promises no order between writes of one file.
 * Source: [ALICE] "Persistence properties"; [S3ShardStore] "Checking crash consistency".
 */
import type { Random } from '../ports/random.ts';

/** What a disk writes in one piece. */
const SECTOR_BYTES = 512;

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer; readonly before: Buffer; readonly sizeBefore: number }
  | { readonly kind: 'truncate'; readonly length: number; readonly before: Buffer; readonly sizeBefore: number };

export class SimFile {
  #content = Buffer.alloc(0);
  #size = 0;
  #unsynced: Change[] = [];
  /** Changes ever made; a sync covers those made before it began. */
  #changeCount = 0;

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
    this.#remember({ kind: 'write', position, bytes, before, sizeBefore });
  }

  truncate(length: number): void {
    const sizeBefore = this.#size;
    const before = this.read(length, sizeBefore);
    this.#resize(length);
    this.#remember({ kind: 'truncate', length, before, sizeBefore });
  }

  /** The first `changeCount` changes are on the medium. */
  markSynced(changeCount: number): void {
    const firstUnsynced = this.#changeCount - this.#unsynced.length;
    this.#unsynced.splice(0, Math.max(0, changeCount - firstUnsynced));
  }

  /** Leaves what a power failure leaves. */
  crash(random: Random): void {
    const lost = this.#unsynced;
    this.#unsynced = [];
    for (const change of lost.toReversed()) this.#undo(change);
    for (const change of lost) this.#redoByChance(change, random);
  }

  flipBit(position: number, bit: number): void {
    if (position < this.#size) this.#content[position] = (this.#content[position] ?? 0) ^ (1 << bit);
  }

  #remember(change: Change): void {
    this.#unsynced.push(change);
    this.#changeCount++;
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
