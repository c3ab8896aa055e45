/**
 * The seeded source of every choice of a run: sfc32, whose state is four words and whose draw is a dozen integer
 * operations. A fork depends on the seed and its labels alone, never on how much was drawn before, so a new draw in
 * one component leaves the choices of all others as they were, and old seeds stay meaningful.
 * Source: [PractRand] "sfc32".
 */
import type { Random } from '../ports/random.ts';

const FLOAT_STEP = 2 ** -53;

/** Mixes a text into one word (FNV-1a with a final avalanche). */
function hashText(text: string, start: number): number {
  let hash = start ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class SimRandom implements Random {
  /** The seed and the labels of all forks on the way here. */
  readonly #path: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(path: string) {
    this.#path = path;
    this.#a = hashText(path, 0x9e3779b9);
    this.#b = hashText(path, 0x243f6a88);
    this.#c = hashText(path, 0xb7e15162);
    for (let i = 0; i < 12; i++) this.word();
  }

  /** Uniform 32-bit word, unsigned. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return sum >>> 0;
  }

  float(): number {
    return ((this.word() >>> 5) * 0x4000000 + (this.word() >>> 6)) * FLOAT_STEP;
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  hex(byteCount: number): string {
    let text = '';
    while (text.length < 2 * byteCount) text += this.word().toString(16).padStart(8, '0');
    return text.slice(0, 2 * byteCount);
  }

  fork(label: string): SimRandom {
    return new SimRandom(`${this.#path}/${label}`);
  }
}

/** True with this probability. */
export function chance(random: Random, probability: number): boolean {
  return random.float() < probability;
}

/** Uniform in [low, high). */
export function between(random: Random, low: number, high: number): number {
  return low + random.float() * (high - low);
}

/** One of the items; the list is not empty. */
export function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}

/** The items in random order. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
