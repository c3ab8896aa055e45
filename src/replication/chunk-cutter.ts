/**
 * Chunk cutter: pieces of any length in, chunks of one length out, the last one shorter. A chunk that lies whole in one
 * piece is cut out of it without a copy; all others cost one copy.
 */
export class ChunkCutter {
  readonly #chunkBytes: number;
  #partial: Buffer | null = null;
  #filled = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** The chunks that this piece completes. The piece belongs to them from now on. */
  *cut(piece: Buffer): Generator<Buffer> {
    for (let at = 0; at < piece.length;) {
      if (this.#partial === null && piece.length - at >= this.#chunkBytes) {
        yield piece.subarray(at, at + this.#chunkBytes);
        at += this.#chunkBytes;
        continue;
      }
      this.#partial ??= Buffer.allocUnsafeSlow(this.#chunkBytes);
      const copied = piece.copy(this.#partial, this.#filled, at);
      this.#filled += copied;
      at += copied;
      if (this.#filled < this.#chunkBytes) continue;
      const full = this.#partial;
      this.#partial = null;
      this.#filled = 0;
      yield full;
    }
  }

  /** What is left at the end; null: nothing. */
  rest(): Buffer | null {
    const rest = this.#partial?.subarray(0, this.#filled) ?? null;
    this.#partial = null;
    this.#filled = 0;
    return rest;
  }
}
