/**
 * Values by log position, bounded by the bytes they take together. The log never changes below its end, so an entry can't be
 * stale.
 *
 * Two generations of half the bytes each: what is used moves to the young one; when that is full it becomes the old one and
 * the old one is dropped. About as good as least-recently-used, without an order to maintain at each read.
 */
export class ByteBoundedCache<V> {
  readonly #generationBytesMax: number;
  #young = new Map<number, V>();
  #old: Map<number, V> = new Map();
  #youngBytes = 0;
  readonly #bytesOf: (value: V) => number;

  /** `bytesOf`: what a value takes, about. */
  constructor(bytesMax: number, bytesOf: (value: V) => number) {
    this.#generationBytesMax = bytesMax / 2;
    this.#bytesOf = bytesOf;
  }

  get(position: number): V | null {
    const young = this.#young.get(position);
    if (young !== undefined) return young;
    const old = this.#old.get(position);
    if (old === undefined) return null;
    this.put(position, old);
    return old;
  }

  delete(position: number): void {
    const young = this.#young.get(position);
    if (young !== undefined) this.#youngBytes -= this.#bytesOf(young);
    this.#young.delete(position);
    this.#old.delete(position);
  }

  put(position: number, value: V): void {
    const bytes = this.#bytesOf(value);
    if (bytes > this.#generationBytesMax || this.#young.has(position)) return;
    if (this.#youngBytes + bytes > this.#generationBytesMax) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(position, value);
    this.#youngBytes += bytes;
  }
}
