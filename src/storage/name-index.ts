/**
 * The names of all accepted registers in UTF-8 byte order, in packed memory: what a listing walks.
 *
 * Sorted blocks of a few KiB, each one buffer of exactly its size, found by halving over their first names; adding a name
 * writes one block anew. Entry: name length 2 | name | key 20. The key leads to all the rest in the key index. There is no
 * way from a key to its name, so registers that go leave their names behind: a reader skips them, and a sweep that every
 * release moves on by a few blocks takes them out.
 *
 * Until `seal`, names are only gathered; then one sort puts them in order, which takes a tenth of adding one by one.
 * Cost: O(log blocks + entries of a block) to add and to find; memory: names + 22 bytes each + 6 %.
 * Rejected: JavaScript strings in a sorted array (three times the memory, and their order is UTF-16's).
 */
import { assert, must } from '../domain/assert.ts';
import { NAME_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { sortNames } from './name-sort.ts';

const LENGTH_BYTES = 2;
const KEY_BYTES = 20;
const ENTRY_BYTES_MAX = LENGTH_BYTES + NAME_BYTES_MAX + KEY_BYTES;
/** Above this a block is split. Larger: less memory besides the names, more to move and to look through. */
const BLOCK_BYTES_MAX = 4096;
/** What a block gets at first, so that the next names find room. */
const BLOCK_BYTES_PACKED = 3072;
const ARENA_BYTES = 64 * 1024;
/** Names gathered beside stored ones are added one by one when they are fewer than this part of them. */
const ADDED_PART = 16;
const ADDRESSABLE_BYTES = 2 ** 32;

export interface NamedKey {
  readonly name: string;
  readonly key: ObjectKey;
}

/** Names before they are in order. */
interface Gathered {
  arena: Buffer;
  length: number;
  count: number;
}

export class NameIndex {
  /** Whether the key at `at` still has an accepted record. */
  readonly #isLive: (bytes: Buffer, at: number) => boolean;
  #gathered: Gathered | null = { arena: Buffer.allocUnsafeSlow(ARENA_BYTES), length: 0, count: 0 };
  #blocks: Buffer[] = [];
  /** The name looked for, then a whole entry. */
  readonly #wanted = Buffer.alloc(3 * NAME_BYTES_MAX + LENGTH_BYTES + KEY_BYTES);
  #wantedBytes = 0;
  #sweptTo = 0;
  #allocatedBytes = 0;

  constructor(isLive: (bytes: Buffer, at: number) => boolean) {
    this.#isLive = isLive;
  }

  /** Bytes of the blocks. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** The name of a register that had nothing accepted before. */
  add(name: string, key: ObjectKey): void {
    const entryBytes = this.#encode(name, key);
    if (this.#gathered !== null) {
      this.#gather(this.#gathered, entryBytes);
      return;
    }
    const index = Math.max(0, this.#blockOf());
    const block = this.#blocks[index];
    if (block === undefined) {
      this.#replace(0, 0, [Buffer.from(this.#wanted.subarray(0, entryBytes))]);
      return;
    }
    const at = this.#firstNotBelow(block);
    const isPresent = at < block.length && this.#compare(block, at) === 0;
    if (isPresent) {
      this.#wanted.copy(block, keyAt(block, at), entryBytes - KEY_BYTES, entryBytes);
      return;
    }
    const grown = Buffer.allocUnsafeSlow(block.length + entryBytes);
    block.copy(grown, 0, 0, at);
    this.#wanted.copy(grown, at, 0, entryBytes);
    block.copy(grown, at + entryBytes, at);
    this.#replace(index, 1, grown.length <= BLOCK_BYTES_MAX ? [grown] : halves(grown));
  }

  /** Entries of a stored index, all of them behind those that came before; copies them. */
  loadBlock(entries: Buffer): void {
    for (let from = 0, at = 0; from < entries.length; ) {
      at = entryEnd(entries, at);
      if (at - from < BLOCK_BYTES_PACKED && at < entries.length) continue;
      this.#blocks.push(copyOf(entries.subarray(from, at)));
      this.#allocatedBytes += at - from;
      from = at;
    }
  }

  /**
   * Hands out whole entries behind the name `after` (null: from the first), as they are in memory, until there were
   * `bytesMax` of them. Returns the last name handed out, for the next call; null: that were all. Names of registers that
   * are gone may be among them, and names may come and go between the calls.
   */
  copyFrom(after: Buffer | null, bytesMax: number, emit: (entries: Buffer) => void): Buffer | null {
    this.#wantedBytes = after === null ? 0 : after.copy(this.#wanted, LENGTH_BYTES);
    let index = after === null ? 0 : Math.max(0, this.#blockOf());
    let bytes = 0;
    for (let isFirst = after !== null; index < this.#blocks.length; index++, isFirst = false) {
      const block = must(this.#blocks[index], 'block');
      let from = isFirst ? this.#firstNotBelow(block) : 0;
      if (isFirst && from < block.length && this.#compare(block, from) === 0) from = entryEnd(block, from);
      if (from === block.length) continue;
      emit(block.subarray(from));
      bytes += block.length - from;
      if (bytes >= bytesMax) return lastName(block);
    }
    return null;
  }

  /** Ends the gathering: puts the names in order. Those whose registers are gone are left out, and each name comes once. */
  seal(): void {
    if (this.#blocks.length > 0) {
      this.#sealLoaded();
      return;
    }
    this.#sealGathered();
  }

  /** A few new names among many stored ones are added one by one; otherwise all are put in order together. */
  #sealLoaded(): void {
    const { arena, length } = must(this.#gathered, 'gathered names');
    if (length * ADDED_PART > this.#allocatedBytes) {
      const blocks = this.#blocks;
      this.#blocks = [];
      this.#allocatedBytes = 0;
      for (const block of blocks) {
        for (let at = 0; at < block.length; at = entryEnd(block, at)) {
          block.copy(this.#wanted, 0, at, entryEnd(block, at));
          this.#gather(must(this.#gathered, 'gathered names'), entryEnd(block, at) - at);
        }
      }
      this.#sealGathered();
      return;
    }
    this.#gathered = null;
    for (let at = 0; at < length; at = entryEnd(arena, at)) {
      this.add(arena.toString('utf8', at + LENGTH_BYTES, keyAt(arena, at)), arena.toString('hex', keyAt(arena, at), entryEnd(arena, at)) as ObjectKey);
    }
  }

  #sealGathered(): void {
    const { arena, length, count } = must(this.#gathered, 'gathered names');
    this.#gathered = null;
    const starts = new Uint32Array(count);
    for (let at = 0, i = 0; at < length; at = entryEnd(arena, at)) starts[i++] = at;
    sortNames(arena, starts);
    const packing = Buffer.allocUnsafeSlow(BLOCK_BYTES_PACKED + ENTRY_BYTES_MAX);
    let packed = 0;
    let before = -1;
    const blocks: Buffer[] = [];
    const flush = (): void => {
      if (packed > 0) blocks.push(copyOf(packing.subarray(0, packed)));
      packed = 0;
    };
    for (const at of starts) {
      const isAgain = before >= 0 && arena.compare(arena, before, keyAt(arena, before), at, keyAt(arena, at)) === 0;
      if (isAgain || !this.#isLive(arena, keyAt(arena, at))) continue;
      before = at;
      packed += arena.copy(packing, packed, at, entryEnd(arena, at));
      if (packed >= BLOCK_BYTES_PACKED) flush();
    }
    flush();
    this.#replace(0, 0, blocks);
  }

  /** Takes names whose registers are gone out of the next `blockCount` blocks, at most of all once. */
  sweep(blockCount: number): void {
    for (let rest = Math.min(blockCount, this.#blocks.length); rest > 0 && this.#blocks.length > 0; rest--) {
      if (this.#sweptTo >= this.#blocks.length) this.#sweptTo = 0;
      const kept = this.#withoutGone(must(this.#blocks[this.#sweptTo], 'block'));
      if (kept === null) {
        this.#sweptTo++;
        continue;
      }
      this.#replace(this.#sweptTo, 1, kept.length > 0 ? [kept] : []);
      if (kept.length > 0) this.#sweptTo++;
    }
  }

  /** Calls `visit` for the names from `from` on, or behind it, as long as they begin with `prefix`, until it returns 'stop'. */
  walk(prefix: string, from: { readonly name: string; readonly isInclusive: boolean } | null, visit: (found: NamedKey) => 'go-on' | 'stop'): 'end' | 'stopped' {
    const prefixBytes = Buffer.from(prefix);
    const fromBytes = from === null ? prefixBytes : Buffer.from(from.name);
    const isFromLater = fromBytes.compare(prefixBytes) > 0;
    const isExclusive = from !== null && !from.isInclusive;
    // Nothing is longer than a name may be, so what comes behind such a text comes behind its beginning, too.
    this.#wantedBytes = (isFromLater ? fromBytes : prefixBytes).copy(this.#wanted, LENGTH_BYTES, 0, this.#wanted.length - LENGTH_BYTES);
    let index = Math.max(0, this.#blockOf());
    for (let block = this.#blocks[index], at = block === undefined ? 0 : this.#firstNotBelow(block); block !== undefined; block = this.#blocks[++index], at = 0) {
      for (; at < block.length; at = entryEnd(block, at)) {
        const nameAt = at + LENGTH_BYTES;
        const end = keyAt(block, at);
        if (end - nameAt < prefixBytes.length || block.compare(prefixBytes, 0, prefixBytes.length, nameAt, nameAt + prefixBytes.length) !== 0) return 'end';
        if (isExclusive && block.compare(fromBytes, 0, fromBytes.length, nameAt, end) === 0) continue;
        if (!this.#isLive(block, end)) continue;
        const found = { name: block.toString('utf8', nameAt, end), key: block.toString('hex', end, end + KEY_BYTES) as ObjectKey };
        if (visit(found) === 'stop') return 'stopped';
      }
    }
    return 'end';
  }

  /** Writes the entry to `#wanted`; returns its length. */
  #encode(name: string, key: ObjectKey): number {
    this.#wantedBytes = this.#wanted.write(name, LENGTH_BYTES);
    this.#wanted.writeUInt16BE(this.#wantedBytes, 0);
    return LENGTH_BYTES + this.#wantedBytes + this.#wanted.write(key, LENGTH_BYTES + this.#wantedBytes, KEY_BYTES, 'hex');
  }

  #gather(gathered: Gathered, entryBytes: number): void {
    const end = gathered.length + entryBytes;
    assert(end <= ADDRESSABLE_BYTES, 'the names of a start fit the memory that a sort can address');
    if (end > gathered.arena.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(ADDRESSABLE_BYTES, 2 * gathered.arena.length));
      gathered.arena.copy(grown, 0, 0, gathered.length);
      gathered.arena = grown;
    }
    this.#wanted.copy(gathered.arena, gathered.length, 0, entryBytes);
    gathered.length = end;
    gathered.count++;
  }

  /** The last block whose first name isn't above the wanted one; -1: they all are. */
  #blockOf(): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(must(this.#blocks[middle], 'block'), 0) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Where the first entry is whose name isn't below the wanted one; the block's end when all are. */
  #firstNotBelow(block: Buffer): number {
    let at = 0;
    while (at < block.length && this.#compare(block, at) < 0) at = entryEnd(block, at);
    return at;
  }

  /** Order of the entry's name to the wanted one. */
  #compare(block: Buffer, at: number): number {
    return block.compare(this.#wanted, LENGTH_BYTES, LENGTH_BYTES + this.#wantedBytes, at + LENGTH_BYTES, keyAt(block, at));
  }

  /** Null: all its registers are there. */
  #withoutGone(block: Buffer): Buffer | null {
    const kept = Buffer.allocUnsafe(block.length);
    let keptBytes = 0;
    for (let at = 0; at < block.length; at = entryEnd(block, at)) {
      if (this.#isLive(block, keyAt(block, at))) keptBytes += block.copy(kept, keptBytes, at, entryEnd(block, at));
    }
    return keptBytes === block.length ? null : copyOf(kept.subarray(0, keptBytes));
  }

  #replace(index: number, count: number, blocks: readonly Buffer[]): void {
    for (let i = index; i < index + count; i++) this.#allocatedBytes -= this.#blocks[i]?.length ?? 0;
    for (const block of blocks) this.#allocatedBytes += block.length;
    const only = blocks[0];
    if (only !== undefined && count === 1 && blocks.length === 1) this.#blocks[index] = only;
    else if (this.#blocks.length === 0) this.#blocks = [...blocks];
    else this.#blocks.splice(index, count, ...blocks);
  }
}

function keyAt(bytes: Buffer, entryAt: number): number {
  return entryAt + LENGTH_BYTES + (((bytes[entryAt] ?? 0) << 8) | (bytes[entryAt + 1] ?? 0));
}

function entryEnd(bytes: Buffer, entryAt: number): number {
  return keyAt(bytes, entryAt) + KEY_BYTES;
}

function lastName(block: Buffer): Buffer {
  let last = 0;
  for (let at = 0; at < block.length; at = entryEnd(block, at)) last = at;
  return copyOf(block.subarray(last + LENGTH_BYTES, keyAt(block, last)));
}

/** A buffer of its own, without room. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

/** The block in two, cut at the entry in its middle. */
function halves(block: Buffer): readonly Buffer[] {
  let at = 0;
  while (entryEnd(block, at) <= block.length / 2) at = entryEnd(block, at);
  const cut = at === 0 ? entryEnd(block, 0) : at;
  return [copyOf(block.subarray(0, cut)), copyOf(block.subarray(cut))];
}
