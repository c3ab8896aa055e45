/**
 * Interner: a small number for each distinct value, so that a whole state of a search is a few numbers. A component's
 * state is interned once; what it does on an event is asked of the product's code once for each pair of numbers and then
 * looked up, which is what makes a search of millions of states affordable.
 */
import { assert } from '../../domain/assert.ts';

/** What fits into one character of a packed state. */
export const INTERNED_MAX = 0xffff;

export class Interner<T> {
  readonly #text: (value: T) => string;
  readonly #ids = new Map<string, number>();
  readonly #values: T[] = [];

  /** Equal texts, equal values. */
  constructor(text: (value: T) => string) {
    this.#text = text;
  }

  get size(): number {
    return this.#values.length;
  }

  id(value: T): number {
    const text = this.#text(value);
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#values.length;
    assert(id <= INTERNED_MAX, 'a component of the search has at most 65536 states');
    this.#ids.set(text, id);
    this.#values.push(value);
    return id;
  }

  value(id: number): T {
    return this.#values[id] as T;
  }
}

/** Remembers a function of whole numbers; each argument but the first below 2^16, the first below 2^20. */
export class Memo<R> {
  readonly #known = new Map<number, R>();

  get(a: number, b: number, compute: () => R): R {
    const key = a * 65_536 + b;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const result = compute();
    this.#known.set(key, result);
    return result;
  }
}
