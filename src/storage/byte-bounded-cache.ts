/**
 * Values by log position, the least recently used ones dropped when they take more than so many bytes together. The log
 * never changes below its end, so an entry can't be stale.
 */
export class ByteBoundedCache<V> {
  readonly #bytesMax: number;
  readonly #entries = new Map<number, { readonly value: V; readonly bytes: number }>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(position: number): V | null {
    const entry = this.#entries.get(position);
    if (entry === undefined) return null;
    this.#entries.delete(position);
    this.#entries.set(position, entry);
    return entry.value;
  }

  /** `bytes`: what the value takes, about. */
  put(position: number, value: V, bytes: number): void {
    if (bytes > this.#bytesMax || this.#entries.has(position)) return;
    this.#entries.set(position, { value, bytes });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#entries.delete(oldest);
      this.#bytes -= entry.bytes;
    }
  }
}
