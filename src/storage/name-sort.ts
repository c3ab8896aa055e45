/**
 * Sorts byte strings that lie in one buffer, by their bytes: three-way radix quicksort. Names often begin alike;
 * here a common beginning is looked at once for all of them instead of in each comparison. In place, a few stack frames.
 * Source: [MultikeyQuicksort] "Multikey Quicksort".
 */

/** Parts smaller than this are sorted by insertion. */
const SMALL = 12;

/** `starts`: where the strings are, each behind its length in two bytes, big-endian. */
export function sortNames(arena: Buffer, starts: Uint32Array): void {
  sortPart(arena, starts, 0, starts.length, 0);
}

/** Sorts starts[low..high), whose strings agree in their first `depth` bytes. */
function sortPart(arena: Buffer, starts: Uint32Array, from: number, to: number, equalBytes: number): void {
  let low = from;
  let high = to;
  let depth = equalBytes;
  while (high - low > SMALL) {
    const middle = (low + high) >>> 1;
    const pivot = median(byteAt(arena, starts[low] ?? 0, depth), byteAt(arena, starts[middle] ?? 0, depth), byteAt(arena, starts[high - 1] ?? 0, depth));
    let below = low;
    let above = high;
    for (let i = low; i < above; ) {
      const start = starts[i] ?? 0;
      const byte = byteAt(arena, start, depth);
      if (byte < pivot) {
        starts[i++] = starts[below] ?? 0;
        starts[below++] = start;
      } else if (byte > pivot) {
        starts[i] = starts[--above] ?? 0;
        starts[above] = start;
      } else {
        i++;
      }
    }
    // The largest of the three parts is the next round, so that the stack stays as deep as the logarithm of the count.
    const equalCount = pivot < 0 ? 0 : above - below;
    const largest = Math.max(below - low, equalCount, high - above);
    const isBelowNext = below - low === largest;
    const isEqualNext = !isBelowNext && equalCount === largest;
    if (!isBelowNext) sortPart(arena, starts, low, below, depth);
    if (!isEqualNext && equalCount > 0) sortPart(arena, starts, below, above, depth + 1);
    if (isBelowNext || isEqualNext) sortPart(arena, starts, above, high, depth);
    if (isBelowNext) {
      high = below;
    } else if (isEqualNext) {
      low = below;
      high = above;
      depth++;
    } else {
      low = above;
    }
  }
  for (let i = low + 1; i < high; i++) {
    const start = starts[i] ?? 0;
    let at = i;
    for (; at > low && compareNames(arena, starts[at - 1] ?? 0, start) > 0; at--) starts[at] = starts[at - 1] ?? 0;
    starts[at] = start;
  }
}

/** -1 behind the end: shorter comes first. */
function byteAt(arena: Buffer, start: number, depth: number): number {
  const length = ((arena[start] ?? 0) << 8) | (arena[start + 1] ?? 0);
  return depth < length ? (arena[start + 2 + depth] ?? 0) : -1;
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

function compareNames(arena: Buffer, a: number, b: number): number {
  const aEnd = a + 2 + arena.readUInt16BE(a);
  const bEnd = b + 2 + arena.readUInt16BE(b);
  return arena.compare(arena, b + 2, bEnd, a + 2, aEnd);
}
