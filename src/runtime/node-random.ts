/**
 * The Random door on Node: all from the system's cryptographic source, because ids and nonces come from here. A fork is
 * the same source again; only the simulator needs streams that don't disturb each other.
 */
import { randomBytes } from 'node:crypto';
import { assert } from '../domain/assert.ts';
import type { Random } from '../ports/random.ts';

/** Bytes drawn at once: a call into the source costs the same for one as for many. */
const POOL_BYTES = 8192;

export class NodeRandom implements Random {
  #pool = Buffer.alloc(0);
  #at = 0;

  #take(byteCount: number): Buffer {
    if (byteCount > POOL_BYTES) return randomBytes(byteCount);
    if (this.#at + byteCount > this.#pool.length) {
      this.#pool = randomBytes(POOL_BYTES);
      this.#at = 0;
    }
    this.#at += byteCount;
    return this.#pool.subarray(this.#at - byteCount, this.#at);
  }

  float(): number {
    const bytes = this.#take(7);
    // 53 random bits over 2^53.
    return (bytes.readUIntBE(0, 6) * 32 + ((bytes[6] ?? 0) & 31)) / 2 ** 53;
  }

  below(bound: number): number {
    assert(Number.isSafeInteger(bound) && bound > 0, 'a bound is a positive integer');
    return Math.floor(this.float() * bound);
  }

  hex(byteCount: number): string {
    return this.#take(byteCount).toString('hex');
  }

  fork(_label: string): Random {
    return this;
  }
}
