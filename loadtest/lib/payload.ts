/**
 * The bytes of an object follow from its key, its generation and its size, so whoever reads one can tell whether it is
 * whole without asking who wrote it. No list of digests is shared between the machines that make the load.
 *
 * A block of noise is made once; each object is that noise from an offset of its own, and every 4 KiB carry a stamp of
 * key, generation, size and place. So two objects differ, two versions differ, and a body that is cut, that has blocks
 * swapped, or that is glued from two versions has another digest. Making one costs a copy and few steps of the
 * interpreter: k6 runs scripts some fifty times slower than Node does.
 */
const BLOCK_BYTES = 4096;
const STAMP_BYTES = 20;
const FNV_PRIME = 16777619;
const FNV_OFFSET = 2166136261;
/** Any other start makes a second, independent hash. */
const SECOND_OFFSET = 0x9e3779b9;

let noise: Uint8Array | null = null;

/** The body of one generation of a key. */
export function payload(key: string, generation: number, size: number): ArrayBuffer {
  const pattern = (noise ??= makeNoise());
  const bytes = new Uint8Array(size);
  const first = textHash(key, FNV_OFFSET);
  const second = textHash(key, SECOND_OFFSET);
  const offset = (first ^ Math.imul(generation, FNV_PRIME)) >>> 20;
  const block = pattern.subarray(offset, offset + BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  const stamp = [first, second, generation >>> 0, size >>> 0, 0];
  for (let start = 0, index = 0; start < size; start += BLOCK_BYTES, index++) {
    const room = size - start;
    bytes.set(room < BLOCK_BYTES ? block.subarray(0, room) : block, start);
    stamp[4] = index;
    if (room >= STAMP_BYTES) for (let i = 0; i < stamp.length; i++) view.setUint32(start + 4 * i, stamp[i] ?? 0);
  }
  return bytes.buffer;
}

/** FNV-1a, with the start given. */
export function textHash(text: string, start: number = FNV_OFFSET): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return hash >>> 0;
}

/** Two blocks, so that one begins at each of 4096 offsets. Source: Marsaglia, "Xorshift RNGs". */
function makeNoise(): Uint8Array {
  const words = new Uint32Array((2 * BLOCK_BYTES) / 4);
  let state = FNV_OFFSET;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
