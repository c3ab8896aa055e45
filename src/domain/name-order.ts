/**
 * The order of names: that of their UTF-8 bytes, which is that of their code points. JavaScript compares UTF-16 units
 * instead, and there every character above U+FFFF (written as two surrogates, D800 to DFFF) comes before U+E000 to U+FFFF.
 *
 * Names are well-formed: they were decoded from UTF-8. Cost: one step a character, no allocation.
 */

/** Negative, zero or positive, as `a` comes before, is equal to or comes after `b`. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA !== unitB) return orderOfUnit(unitA) - orderOfUnit(unitB);
  }
  return a.length - b.length;
}

/**
 * The first text behind all names that begin with the prefix: its last character is replaced by the next one. Null when
 * nothing can be behind them. It is at most one byte longer than the prefix.
 */
export function behindPrefix(prefix: string): string | null {
  const characters = Array.from(prefix);
  for (let last = characters.pop(); last !== undefined; last = characters.pop()) {
    const next = (last.codePointAt(0) as number) + 1;
    if (next <= CODE_POINT_MAX) return characters.join('') + String.fromCodePoint(next === SURROGATES_FROM ? SURROGATES_END : next);
  }
  return null;
}

const SURROGATES_FROM = 0xd800;
const SURROGATES_END = 0xe000;
const UNIT_END = 0x10000;
const CODE_POINT_MAX = 0x10ffff;

/** Surrogates count as above all other units. */
function orderOfUnit(unit: number): number {
  return unit >= SURROGATES_FROM && unit < SURROGATES_END ? unit + UNIT_END : unit;
}
