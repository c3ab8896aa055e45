/**
 * Names of objects, and the seeded choices of a load: which key comes next, how large a body is. The same seed gives the
 * same choices, in k6 and in Node.
 */

/** Names of one run: `load/<scenario>/<seed>/...`. A run with a new seed never meets what another one left. */
export class KeySpace {
  readonly prefix: string;

  constructor(scenario: string, seed: number) {
    this.prefix = `load/${scenario}/${seed}/`;
  }

  /** One of the keys that exist from the start and are never deleted. */
  shared(index: number): string {
    return `${this.prefix}k${index}`;
  }

  /** A key that only this virtual user writes. */
  own(user: number, index: number): string {
    return `${this.prefix}u${user}/${index}`;
  }
}

/** A stream of numbers in [0, 1). Source: mulberry32, public domain, Tommy Ettinger. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** Mean 0, deviation 1. Source: Box and Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }
}

/** Ranks with probability proportional to 1 / rank^exponent: a few keys get most of the requests. */
export class ZipfRanks {
  readonly #cumulative: Float64Array;

  constructor(count: number, exponent: number) {
    this.#cumulative = new Float64Array(count);
    let sum = 0;
    for (let i = 0; i < count; i++) this.#cumulative[i] = sum += Math.pow(i + 1, -exponent);
  }

  /** 0 is the most popular. */
  draw(random: SeededRandom): number {
    const cumulative = this.#cumulative;
    const wanted = random.next() * (cumulative[cumulative.length - 1] ?? 0);
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] ?? 0) <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export const SIZE_BYTES_MIN = 1024;
export const SIZE_BYTES_MAX = 8 * 1024 * 1024;
/** Of ln(bytes): the middle is 32 KiB, and one body in forty is above 1.6 MiB, as in file systems and object stores. */
const SIZE_LOG_MEAN = Math.log(32 * 1024);
const SIZE_LOG_DEVIATION = 2;

export function logNormalSize(random: SeededRandom): number {
  const size = Math.round(Math.exp(SIZE_LOG_MEAN + SIZE_LOG_DEVIATION * random.normal()));
  return Math.min(SIZE_BYTES_MAX, Math.max(SIZE_BYTES_MIN, size));
}

/** The classes that the report tells apart. 128 KiB is where a body no longer travels with its record. */
export const SIZE_CLASSES = ['1k-16k', '16k-128k', '128k-1m', '1m-8m'] as const;
export type SizeClass = (typeof SIZE_CLASSES)[number];

export function sizeClass(bytes: number): SizeClass {
  if (bytes <= 16 * 1024) return '1k-16k';
  if (bytes <= 128 * 1024) return '16k-128k';
  return bytes <= 1024 * 1024 ? '128k-1m' : '1m-8m';
}
